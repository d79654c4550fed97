"""Estimated loss increase of what a plan does with one layer."""

from __future__ import annotations

from typing import Protocol

from ghostify.types import ConvSite, GhostSpec, Plan, Sensitivity


class LossIncrease(Protocol):
    """Loss increase when a Ghost module replaces a layer, and when only ``width`` channels stay."""

    def __call__(
        self, site: ConvSite, ghost: GhostSpec | None = None, width: int | None = None
    ) -> float: ...


def loss_increase_from(sensitivity: Sensitivity | None) -> LossIncrease:
    """Return the loss increase by ``sensitivity``, or by shares of channels without one.

    Both parts add up. Ghosts cost as much as with all channels: those that stay are less alike.
    """
    if sensitivity is None:
        return _by_shares

    def by_sensitivity(
        site: ConvSite, ghost: GhostSpec | None = None, width: int | None = None
    ) -> float:
        dropped = 0.0 if width is None else sensitivity.of_width(site.name, width)
        return dropped if ghost is None else dropped + sensitivity.of(site.name, ghost)

    return by_sensitivity


def loss_increases(plan: Plan, sensitivity: Sensitivity | None) -> dict[str, float]:
    """Return the loss increase of each layer that a plan changes, by its name."""
    increase = loss_increase_from(sensitivity)
    return {d.site.name: increase(d.site, d.ghost, d.width) for d in plan.decisions if d.changes}


def _by_shares(site: ConvSite, ghost: GhostSpec | None = None, width: int | None = None) -> float:
    """Square the share of dropped channels, and of ghosts: both are convex, so budgets spread."""
    outputs = site.geometry.out_channels
    width = width or outputs
    dropped = ((outputs - width) / outputs) ** 2
    if ghost is None:
        return dropped
    ghosts = (width - ghost.intrinsic(width)) / width
    return dropped + width / outputs * ghosts**2
