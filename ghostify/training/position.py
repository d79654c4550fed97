"""How far a training is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ghostify.types import Score
from ghostify.types.recovery import Selection
from ghostify.types.serialization import Serializable


@dataclass
class Position(Serializable):
    """Progress and scores of a training.

    Attributes:
        batch: next batch of the epoch.
        images: images that this process has trained on.
        seconds: training time without that of the probe.
        probe_seconds: time of the probe.
        phase: current phase, whose optimizers exist.
        lr: peak learning rate; 0 before it is chosen.
        collapses: collapses so far, of which each divides the peak learning rate by 4.
        stale: epochs since the best one.
        ended: empty while the training runs; this and the rest are those of `Recovery`.
        sums: totals of losses in this epoch, and ``steps``.
        scales: scales of feature-map errors.
    """

    step: int = 0
    epoch: int = 0
    batch: int = 0
    images: int = 0
    seconds: float = 0.0
    probe_seconds: float = 0.0
    phase: str = ""
    lr: float = 0.0
    collapses: int = 0
    stale: int = 0
    ended: str = ""
    sums: Mapping[str, float] = field(default_factory=dict)
    scales: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    original: Score | None = None
    converted: Score | None = None
    recovered: Score | None = None
    best_epoch: int = 0
    selection: Selection | None = None
    probe: tuple[Mapping[str, float], ...] = ()
    history: tuple[Mapping[str, Any], ...] = ()

    @property
    def rejected(self) -> bool:
        """Whether the student as given is better than the best weights on the other images."""
        return self.selection is not None and self.selection.rejected > 0

    @property
    def current_lr(self) -> float:
        """The peak learning rate after the collapses so far."""
        return self.lr * 0.25**self.collapses
