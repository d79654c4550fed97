"""Phases of a training, and the learning rate in each of them."""

from __future__ import annotations

import math

from ghostify.training.objectives import EndToEnd, Layerwise
from ghostify.types import RecoverySettings


def phase_at(spent: float, settings: RecoverySettings) -> tuple[str, float]:
    """Return the name of the current phase and the share of it that is spent.

    Args:
        spent: share of the whole training that is spent, 0 to 1.
    """
    if spent < settings.layerwise_fraction:
        return Layerwise.name, spent / settings.layerwise_fraction
    rest = 1 - settings.layerwise_fraction
    return EndToEnd.name, (spent - settings.layerwise_fraction) / rest if rest else 1.0


def lr_at(share: float, settings: RecoverySettings) -> float:
    """Return the learning rate after a share of a phase: linear warm-up, then cosine decay."""
    if share < settings.warmup:
        return settings.peak_lr * share / settings.warmup
    after = (share - settings.warmup) / max(1 - settings.warmup, 1e-12)
    return settings.peak_lr * (1 + math.cos(math.pi * min(after, 1.0))) / 2
