"""What a replacement is taken to hurt where nobody has measured it."""

from __future__ import annotations

from collections.abc import Callable

from ghostify.spec import ConvSite, GhostSpec, Sensitivity

Damage = Callable[[ConvSite, GhostSpec], float]
"""How much it hurts to put a Ghost module at a site; to leave the site is 0."""


def geometric_damage(site: ConvSite, ghost: GhostSpec) -> float:
    """The square of the share of ghosts among the layer's maps, ((n - m) / n)^2.

    Every ghost is taken to hurt alike, whatever the layer and the cheap kernel. The square is
    convex, so that a little in many layers hurts less than much in a few: a budget spreads out.
    """
    maps = site.geometry.out_channels
    return ((maps - ghost.intrinsic(maps)) / maps) ** 2


def damage_from(sensitivity: Sensitivity | None) -> Damage:
    """The damage that the sensitivity knows, or without one the geometric estimate."""
    if sensitivity is None:
        return geometric_damage
    return lambda site, ghost: sensitivity.damage(site.name, ghost)
