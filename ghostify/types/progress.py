"""Progress of a long operation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Progress:
    """State of a long operation.

    Attributes:
        task: name of the operation, such as ``converting``.
        done: completed layers, batches or shares.
        total: the total of ``done``; None if it is unknown.
        detail: the current layer or batch.
    """

    task: str
    done: float
    total: float | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingProgress(Progress):
    """One moment of a training; ``done`` is the percentage of the budget that is spent.

    Attributes:
        phase: ``layer-wise`` or ``end-to-end``.
        stage: stage of a progressive conversion, from 1.
        stages: number of stages.
        epoch: epoch of the stage, from 1.
        loss: mean loss of this epoch.
        score: accuracy of this epoch on the training images, 0 to 1; without labels,
            agreement with the teacher. None for outputs that are values.
        speed: images per second, over all processes.
        seconds_left: training time left in this stage.
    """

    task: str = "recovering"
    total: float | None = 100
    phase: str
    stage: int = 1
    stages: int = 1
    epoch: int
    loss: float
    score: float | None
    speed: float
    seconds_left: float

    def __post_init__(self) -> None:
        stage = f"stage {self.stage}/{self.stages}, " if self.stages > 1 else ""
        score = "" if self.score is None else f", accuracy {self.score:.1%}"
        text = f"{stage}epoch {self.epoch}: loss {self.loss:.3g}{score}, {self.speed:.0f} img/s"
        object.__setattr__(self, "detail", text)


ShowProgress: TypeAlias = bool | Callable[[Progress], None]
"""True shows a progress bar on the terminal or in a notebook. A function is called instead."""
