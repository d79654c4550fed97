"""Networks that a compression tried."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ghostify.types.constraints import NonNegativeFloat, NonNegativeInt
from ghostify.types.errors import GhostifyError
from ghostify.types.score import Score
from ghostify.types.serialization import Serializable


@dataclass(frozen=True, slots=True)
class Trial(Serializable):
    """A network that `compress` made and scored on validation images, or the original.

    Attributes:
        name: of its folder, such as ``02-macs=0.25-trained``; ``original``.
        budget: what it was planned for, such as ``macs=0.25``; ``original``.
        share: the budget as a share of the original's cost; None if the budget was given.
        minutes: how long it was trained; 0 if its weights are only fitted.
        macs: MACs of convolutions and linear layers, for one input.
        params: number of parameters.
        score: metrics with the original as teacher.
        drop: loss of accuracy in percentage points (`Score.drop_from`).
        latency: median latency in seconds; None without a runtime.
        speedup: the original's latency divided by this one's, run in turns.
        seconds: time since the trial before, or since the compression went on.
    """

    name: str
    budget: str
    share: NonNegativeFloat | None
    minutes: NonNegativeFloat
    macs: NonNegativeInt
    params: NonNegativeInt
    score: Score
    drop: float
    latency: NonNegativeFloat | None
    speedup: NonNegativeFloat | None
    seconds: NonNegativeFloat

    def __post_init__(self) -> None:
        if Path(self.name).name != self.name:
            raise GhostifyError(f"`name` (={self.name!r}) must be the name of a folder")

    @property
    def is_trained(self) -> bool:
        """Whether it was trained, and not only fitted."""
        return self.minutes > 0


@dataclass(frozen=True, slots=True)
class Trials(Serializable):
    """What a compression has tried so far.

    Attributes:
        of: what the trials depend on, by name of the argument.
        original: the original, once it is scored.
        tried: in order of trying.
        finished: `seconds` when a search last ended.
    """

    _format: ClassVar[str] = "ghostify-trials/1"

    of: Mapping[str, str]
    original: Trial | None = None
    tried: tuple[Trial, ...] = ()
    finished: NonNegativeFloat = 0.0

    def __post_init__(self) -> None:
        check_comparable(filter(None, (self.original, *self.tried)))

    @property
    def seconds(self) -> float:
        """Time spent so far, in this process and those that it resumes."""
        return sum(trial.seconds for trial in (self.original, *self.tried) if trial)


def check_comparable(trials: Iterable[Trial]) -> None:
    """Check that trials can be compared with the first one.

    Raises:
        GhostifyError: if one lacks a metric or the latency.
    """
    known = {(trial.score.metrics, trial.latency is None) for trial in trials}
    if len(known) > 1:
        raise GhostifyError("trials must have the same metrics, and all a latency or none")
