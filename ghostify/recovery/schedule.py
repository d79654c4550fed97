"""How far a training is, and how fast it learns there."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ghostify.recovery.stages import EndToEnd, Local
from ghostify.spec import RecoverySettings


@dataclass(frozen=True)
class Budget:
    """What a training may take: whichever ends first.

    Attributes:
        steps: of the optimizer; None for any number.
        seconds: of training; None for any.
    """

    steps: int | None
    seconds: float | None

    def spent(self, steps: float, seconds: float) -> float:
        """The share that is spent, from 0 to 1."""
        shares = [0.0]
        shares += [steps / self.steps] if self.steps else []
        shares += [seconds / self.seconds] if self.seconds else []
        return min(max(shares), 1.0)


def stage_at(spent: float, settings: RecoverySettings) -> tuple[str, float]:
    """The name of the stage that a training is in, and the share of it that is spent."""
    if spent < settings.local:
        return Local.name, spent / settings.local
    rest = 1 - settings.local
    return EndToEnd.name, (spent - settings.local) / rest if rest else 1.0


def rate_at(share: float, settings: RecoverySettings) -> float:
    """The learning rate after a share of a stage: a rise from nought, then half a cosine."""
    if share < settings.warmup:
        return settings.peak_rate * share / settings.warmup
    after = (share - settings.warmup) / max(1 - settings.warmup, 1e-12)
    return settings.peak_rate * (1 + math.cos(math.pi * min(after, 1.0))) / 2
