"""Files of a training, written atomically: checkpoints and the history."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch

from ghostify.io.atomic import TRAINING, new_folder, write_text
from ghostify.io.checksummed_json import checksummed, read_checksummed
from ghostify.models.identity import file_digest
from ghostify.training.origin import Origin
from ghostify.training.position import Position
from ghostify.types import GhostifyError
from ghostify.types.errors import first_line
from ghostify.types.serialization import Serializable

_TENSORS, _SEAL, _HISTORY = "training.pt", "training.json", "history.jsonl"
_PREFIX = "checkpoint-"


@dataclass(frozen=True)
class Checkpoint:
    """A training at one step.

    Accelerate's ``save_state`` saves the teacher as well, pickles generator states, and writes in
    place.

    Attributes:
        origin: what the training is made of.
        position: progress and scores.
        tensors: state dicts of networks and optimizers, and generator states.
    """

    origin: Origin
    position: Position
    tensors: dict[str, Any]


@dataclass(frozen=True)
class _Seal(Serializable):
    """The checkpoint without its tensors, and the SHA-256 of their file."""

    _format: ClassVar[str] = "ghostify-training/1"

    origin: Origin
    position: Position
    tensors: str


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint to ``folder``, then remove the previous one."""
    previous = _checkpoints(folder)
    number = 1 + max((int(path.name.removeprefix(_PREFIX)) for path in previous), default=0)
    path = folder / f"{_PREFIX}{number:06d}"
    with new_folder(path) as temporary:
        try:
            torch.save(checkpoint.tensors, temporary / _TENSORS)
        except RuntimeError as error:
            raise OSError(f"cannot write {path / _TENSORS}: {first_line(error)}") from error
        seal = _Seal(checkpoint.origin, checkpoint.position, file_digest(temporary / _TENSORS))
        (temporary / _SEAL).write_text(checksummed(seal.to_dict()), encoding="utf-8")
    for old in previous:
        _remove(old)


def read_checkpoint(folder: Path) -> Checkpoint | None:
    """Return the latest checkpoint in ``folder``, or None. Only tensors are unpickled.

    Raises:
        GhostifyError: if it is damaged.
    """
    seal, file = _read_seal(folder), _checkpoints(folder)[-1:]
    if seal is None:
        return None
    try:
        if file_digest(file[0] / _TENSORS) != seal.tensors:
            raise GhostifyError("its checksum does not match")
        tensors = torch.load(file[0] / _TENSORS, map_location="cpu", weights_only=True)
    except Exception as error:
        raise GhostifyError(f"{file[0] / _TENSORS} is damaged: {first_line(error)}") from error
    return Checkpoint(seal.origin, seal.position, tensors)


def has_checkpoint(folder: Path) -> bool:
    """Whether ``folder`` holds a checkpoint."""
    return bool(_checkpoints(folder))


def has_ended(folder: Path) -> bool:
    """Whether the training in ``folder`` had ended at its latest checkpoint."""
    seal = _read_seal(folder)
    return seal is not None and bool(seal.position.ended)


def stage_folder(folder: Path, stage: int) -> Path:
    """Return the folder of one stage, from 1, of a progressive training."""
    return folder / f"stage-{stage}"


def has_stages(folder: Path) -> bool:
    """Whether ``folder`` holds checkpoints of a progressive training."""
    return any(map(has_checkpoint, folder.glob("stage-*")))


def remove_checkpoints(folder: Path) -> None:
    """Remove the checkpoints of a training and of its stages."""
    for place in (folder, *folder.glob("stage-*")):
        for path in _checkpoints(place):
            _remove(path)


def remove_leftovers(folder: Path) -> None:
    """Remove what a killed process left of checkpoints. No other process may write here."""
    for place in (folder, *folder.glob("stage-*")):
        for path in place.glob(f".{_PREFIX}*"):
            shutil.rmtree(path, ignore_errors=True)


def remove_training(folder: Path) -> None:
    """Remove the files of a training from the folder of an artifact, and the folder if empty."""
    work = folder / TRAINING
    remove_checkpoints(work)
    for place in (*work.glob("stage-*"), work):
        (place / _HISTORY).unlink(missing_ok=True)
        with suppress(OSError):  # other files are in it
            place.rmdir()
    with suppress(OSError):  # an artifact is in it
        folder.rmdir()


def _checkpoints(folder: Path) -> list[Path]:
    """Return the complete checkpoints, oldest first.

    Partial ones have another name. Those of other programs hold other files.
    """
    found = [path for path in folder.glob(f"{_PREFIX}*") if path.name[len(_PREFIX) :].isdecimal()]
    return sorted(path for path in found if (path / _SEAL).is_file() and not path.is_symlink())


def _read_seal(folder: Path) -> _Seal | None:
    """Return the seal of the latest checkpoint in ``folder``, or None."""
    found = _checkpoints(folder)
    return read_checksummed(found[-1] / _SEAL, _Seal) if found else None


def _remove(checkpoint: Path) -> None:
    hidden = checkpoint.with_name(f".{checkpoint.name}.old")
    with suppress(OSError):
        checkpoint.rename(hidden)  # so that a part of it is never found
        shutil.rmtree(hidden)


def write_history(folder: Path | None, records: Sequence[Mapping[str, Any]], events: Any) -> None:
    """Write ``history.jsonl``, one line per epoch, and the TensorBoard events of the last one."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / _HISTORY, "".join(f"{json.dumps(r)}\n" for r in records))
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
