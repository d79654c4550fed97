"""What has happened, epoch by epoch, in a file that grows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

HISTORY = "history.jsonl"


class History:
    """``history.jsonl`` in a folder: one line an epoch.

    Args:
        folder: where; None for nowhere.
        records: of the epochs before, when a training is resumed; later ones are dropped.
    """

    def __init__(self, folder: Path | None, records: Sequence[Mapping[str, Any]]) -> None:
        self._file = None if folder is None else folder / HISTORY
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._file.write_text("".join(map(_line, records)), encoding="utf-8")

    def add(self, record: Mapping[str, Any]) -> None:
        """One more epoch."""
        if self._file is not None:
            with self._file.open("a", encoding="utf-8") as file:
                file.write(_line(record))


def _line(record: Mapping[str, Any]) -> str:
    return json.dumps(record) + "\n"
