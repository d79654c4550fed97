"""Estimated loss increase of what became of a layer."""

from __future__ import annotations

from ghostify.planning.loss_increase import loss_increase_from
from ghostify.types import ConvSite, GhostSpec, Sensitivity


def estimated_increase(
    sensitivity: Sensitivity, site: ConvSite, ghost: GhostSpec | None, width: int | None
) -> float | None:
    """Return the loss increase by ``sensitivity``; None if it was not measured for this change."""
    if not sensitivity.covers(site.name, ghost, width):
        return None
    return loss_increase_from(sensitivity)(site, ghost, width)
