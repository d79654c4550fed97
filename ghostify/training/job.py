"""What to train, on which data, and where to write."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from ghostify.training.held_out import HeldOut
from ghostify.training.origin import Origin
from ghostify.types import Example, RecoverySettings
from ghostify.types.outputs import OutputsLike
from ghostify.types.progress import Progress

OnEpoch = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True, kw_only=True)
class Job:
    """A training, or one stage of it; see `recover`. ``folder`` is that of the stage.

    ``origin`` lacks what the trainer finds: the kinds of the outputs, and the data.
    """

    teacher: nn.Module
    data: Iterable[Any]
    held_out: HeldOut
    settings: RecoverySettings
    example: Example | None
    folder: Path | None
    device: str | None
    resume: bool
    tensorboard: bool
    report: Callable[[Progress], None]
    on_epoch: OnEpoch
    outputs: OutputsLike = None
    origin: Origin
    stage: int = 1
    stages: int | None = None
