"""How far a long operation is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Progress:
    """One moment of a long operation.

    Attributes:
        task: what is being done, such as ``converting``.
        done: units that are done: layers, batches, or a share of the whole.
        total: units in all; None where that is not known.
        detail: the unit at hand, such as the name of a layer and its error.
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
        score: top-1 accuracy of this epoch on the training images, 0 to 1; without labels,
            agreement with the teacher. None for outputs that are not logits.
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
        score = "" if self.score is None else f", top-1 {self.score:.1%}"
        text = f"{stage}epoch {self.epoch}: loss {self.loss:.3g}{score}, {self.speed:.0f} img/s"
        object.__setattr__(self, "detail", text)


ProgressCallback: TypeAlias = Callable[[Progress], None]
ShowProgress: TypeAlias = bool | ProgressCallback
"""True for a bar on the terminal or in the notebook, False for none, or a function to call."""
