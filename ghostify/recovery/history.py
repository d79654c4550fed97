"""What has happened, epoch by epoch, in a file that grows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ghostify.spec import GhostifyError

HISTORY = "history.jsonl"


class History:
    """``history.jsonl`` in a folder: one line an epoch; and events for TensorBoard beside it.

    Args:
        folder: where; None for nowhere.
        records: of the epochs before, when a training is resumed; later ones are dropped.
        tensorboard: whether to write events too.

    Raises:
        GhostifyError: if TensorBoard is asked for and not installed.
    """

    def __init__(
        self, folder: Path | None, records: Sequence[Mapping[str, Any]], *, tensorboard: bool
    ) -> None:
        self._file = None if folder is None else folder / HISTORY
        self._events: Any = None
        if folder is None or self._file is None:
            return
        folder.mkdir(parents=True, exist_ok=True)
        self._file.write_text("".join(map(_line, records)), encoding="utf-8")
        if tensorboard:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError as error:
                raise GhostifyError("TensorBoard is missing: pip install tensorboard") from error
            steps = max((record["step"] for record in records), default=-1)
            self._events = SummaryWriter(str(folder), purge_step=steps + 1)

    def add(self, record: Mapping[str, Any]) -> None:
        """One more epoch."""
        if self._file is not None:
            with self._file.open("a", encoding="utf-8") as file:
                file.write(_line(record))
        if self._events is not None:
            for name, value in {**record, **(record["score"] or {})}.items():
                if isinstance(value, float):
                    self._events.add_scalar(name, value, record["step"])
            self._events.flush()


def _line(record: Mapping[str, Any]) -> str:
    return json.dumps(record) + "\n"
