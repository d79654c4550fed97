"""Where a training stands, on disk: written beside, renamed, and then the older one removed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ghostify.io.atomic import new_folder
from ghostify.types import GhostifyError
from ghostify.types.errors import first_line

_TENSORS, _POSITION = "training.pt", "position.json"
_PREFIX = "checkpoint-"


@dataclass(frozen=True)
class Checkpoint:
    """A training at one step.

    Attributes:
        position: how far it is, in JSON types.
        tensors: state dicts of networks and optimizers, and the generators' states.
    """

    position: dict[str, Any]
    tensors: dict[str, Any]

    @property
    def finished(self) -> bool:
        """Whether the training had ended."""
        return bool(self.position["ended"])


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Keep it in ``folder``; the one before is there until this one is whole.

    Raises:
        OSError: if it cannot be written; the one before stays.
    """
    older = _all(folder)
    path = folder / f"{_PREFIX}{checkpoint.position['step']:09d}"
    text = json.dumps(checkpoint.position, indent=1)
    if path.exists():  # written at this step already, and perhaps the epoch has ended since
        path = path.with_name(f"{path.name}-{len(older)}")
    with new_folder(path) as beside:
        try:
            torch.save(checkpoint.tensors, beside / _TENSORS)
        except RuntimeError as error:
            raise OSError(f"cannot write {path / _TENSORS}: {first_line(error)}") from error
        (beside / _POSITION).write_text(text, encoding="utf-8")
    for old in older:
        shutil.rmtree(old, ignore_errors=True)


def read_checkpoint(folder: Path) -> Checkpoint | None:
    """The latest one in ``folder``, if there is one. Nothing is unpickled but tensors.

    Raises:
        GhostifyError: if it is damaged.
    """
    found = _all(folder)
    if not found:
        return None
    try:
        position = json.loads((found[-1] / _POSITION).read_text(encoding="utf-8"))
        tensors = torch.load(found[-1] / _TENSORS, map_location="cpu", weights_only=True)
    except Exception as error:
        raise GhostifyError(f"{found[-1]} is damaged: {first_line(error)}") from error
    return Checkpoint(position, tensors)


def has_checkpoint(folder: Path) -> bool:
    """Whether there is one to go on from."""
    return bool(_all(folder))


def remove_checkpoints(folder: Path) -> None:
    """Those of a training that has ended, and of its steps."""
    for path in [*_all(folder), *folder.glob(f"*/{_PREFIX}*")]:
        shutil.rmtree(path, ignore_errors=True)


def _all(folder: Path) -> list[Path]:
    """The oldest first. What was being written when a process was killed has another name."""
    return sorted(folder.glob(f"{_PREFIX}*"))


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
