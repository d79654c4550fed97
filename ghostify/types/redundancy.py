"""Redundancy among the feature maps of a layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FeatureMapPair:
    """Two similar feature maps of a layer.

    Attributes:
        source: channel that predicts the other.
        target: channel that is predicted.
        errors: error of the best d x d filter with bias, divided by the target's variance, by d.
    """

    source: int
    target: int
    errors: Mapping[int, float]


@dataclass(frozen=True, slots=True)
class LayerRedundancy:
    """How well the feature maps of a layer predict each other.

    Attributes:
        layer: qualified name.
        maps: number of feature maps.
        constant: number of constant feature maps, which are ignored otherwise.
        size: height and width.
        positions: number of positions that the errors are means of.
        explained: share of variance that the best d x d filter of one other feature map explains,
            by d: the mean over feature maps. A d is missing if there are too few positions.
        ghosts: number of feature maps with a share above `GHOST_SHARE`, by d.
        pairs: the most similar pairs, the best first; each feature map is in one at most.
    """

    layer: str
    maps: int
    constant: int
    size: tuple[int, int]
    positions: int
    explained: Mapping[int, float]
    ghosts: Mapping[int, int]
    pairs: tuple[FeatureMapPair, ...]


GHOST_SHARE = 0.9
"""The explained share of variance above which a feature map is a ghost of another."""
