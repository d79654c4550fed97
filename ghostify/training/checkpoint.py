"""Files of a training, written atomically: checkpoints and the history."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ghostify.io.atomic import TRAINING, new_folder, write_text
from ghostify.types import GhostifyError
from ghostify.types.errors import first_line

_TENSORS, _POSITION = "training.pt", "position.json"
_PREFIX = "checkpoint-"


@dataclass(frozen=True)
class Checkpoint:
    """A training at one step.

    Accelerate's ``save_state`` saves the teacher as well, pickles generator states, and writes in
    place.

    Attributes:
        position: progress and scores, in JSON types.
        tensors: state dicts of networks and optimizers, and generator states.
    """

    position: dict[str, Any]
    tensors: dict[str, Any]

    @property
    def finished(self) -> bool:
        """Whether the training had ended."""
        return bool(self.position["ended"])


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint to ``folder``, then remove the previous one."""
    previous = _checkpoints(folder)
    path = folder / f"{_PREFIX}{checkpoint.position['step']:09d}"
    if path.exists():  # a second one at this step, such as at the end of the epoch
        path = path.with_name(f"{path.name}-{len(previous)}")
    with new_folder(path) as temporary:
        try:
            torch.save(checkpoint.tensors, temporary / _TENSORS)
        except RuntimeError as error:
            raise OSError(f"cannot write {path / _TENSORS}: {first_line(error)}") from error
        text = json.dumps(checkpoint.position, indent=1)
        (temporary / _POSITION).write_text(text, encoding="utf-8")
    for old in previous:
        shutil.rmtree(old, ignore_errors=True)


def read_checkpoint(folder: Path) -> Checkpoint | None:
    """Return the latest checkpoint in ``folder``, or None. Only tensors are unpickled."""
    found = _checkpoints(folder)
    if not found:
        return None
    try:
        position = json.loads((found[-1] / _POSITION).read_text(encoding="utf-8"))
        tensors = torch.load(found[-1] / _TENSORS, map_location="cpu", weights_only=True)
    except Exception as error:
        raise GhostifyError(f"{found[-1]} is damaged: {first_line(error)}") from error
    return Checkpoint(position, tensors)


def has_checkpoint(folder: Path) -> bool:
    """Whether ``folder`` holds a checkpoint."""
    return bool(_checkpoints(folder))


def stage_folder(folder: Path, stage: int) -> Path:
    """Return the folder of one stage, from 1, of a progressive training."""
    return folder / f"stage-{stage}"


def has_stages(folder: Path) -> bool:
    """Whether ``folder`` holds checkpoints of a progressive training."""
    return any(map(has_checkpoint, folder.glob("stage-*")))


def remove_checkpoints(folder: Path) -> None:
    """Remove the checkpoints of a training and of its stages."""
    for path in [*_checkpoints(folder), *folder.glob(f"stage-*/{_PREFIX}*")]:
        shutil.rmtree(path, ignore_errors=True)


def remove_training(folder: Path) -> None:
    """Remove the files of a training from the folder of an artifact, and the folder if empty."""
    shutil.rmtree(folder / TRAINING, ignore_errors=True)
    with suppress(OSError):  # an artifact is in it
        folder.rmdir()


def _checkpoints(folder: Path) -> list[Path]:
    """Return the complete checkpoints, oldest first; partial ones have another name."""
    return sorted(folder.glob(f"{_PREFIX}*"))


def write_history(folder: Path | None, records: Sequence[Mapping[str, Any]], events: Any) -> None:
    """Write ``history.jsonl``, one line per epoch, and the TensorBoard events of the last one."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / "history.jsonl", "".join(f"{json.dumps(r)}\n" for r in records))
    if events is not None:
        last = records[-1]
        for name, value in {**last, **(last["score"] or {})}.items():
            if isinstance(value, float):
                events.add_scalar(name, value, last["step"])
        events.flush()


def tensorboard_writer(folder: Path | None, step: int) -> Any:
    """Return a SummaryWriter that drops what was written after ``step``; None without a folder."""
    if folder is None:
        return None
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise GhostifyError("TensorBoard is not installed: pip install tensorboard") from error
    return SummaryWriter(str(folder), purge_step=step + 1)
