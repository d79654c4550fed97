"""Training history on disk."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ghostify.types import GhostifyError


class History:
    """One line per epoch in ``history.jsonl``, and optionally TensorBoard events.

    Args:
        folder: where to write; None writes nothing.
        records: earlier epochs, when a training is resumed. Later ones on disk are dropped.
        tensorboard: whether to write events.

    Raises:
        GhostifyError: if TensorBoard is requested and not installed.
    """

    def __init__(
        self, folder: Path | None, records: Sequence[Mapping[str, Any]], *, tensorboard: bool
    ) -> None:
        self._file = None if folder is None else folder / "history.jsonl"
        self._events: Any = None
        if folder is None or self._file is None:
            return
        folder.mkdir(parents=True, exist_ok=True)
        self._file.write_text("".join(map(_line, records)), encoding="utf-8")
        if tensorboard:
            # Accelerate's trackers drop TensorBoard silently if it is not installed.
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError as error:
                raise GhostifyError("TensorBoard is missing: pip install tensorboard") from error
            last = max((record["step"] for record in records), default=-1)
            self._events = SummaryWriter(str(folder), purge_step=last + 1)

    def add(self, record: Mapping[str, Any]) -> None:
        """Write the record of an epoch."""
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
