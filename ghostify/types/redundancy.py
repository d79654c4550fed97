"""How much the maps of a layer resemble each other, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MapPair:
    """One map, and another that is nearly its ghost.

    Attributes:
        source: number of the map that the other is made of.
        target: number of the map that is made.
        errors: by the kernel size d, the error of the best d x d linear map and a constant, as a
            share of the target's variance: 0 is a perfect ghost, 1 is no likeness.
    """

    source: int
    target: int
    errors: Mapping[int, float]


@dataclass(frozen=True, slots=True)
class LayerRedundancy:
    """How ghostly the maps of one layer are.

    Attributes:
        layer: its qualified name.
        maps: how many it makes.
        constant: how many of them do not vary on the images, and are left out of all else.
        size: height and width of a map.
        positions: how many the errors are means of.
        explained: by d, the mean over maps of the share of a map's variance that the best d x d
            linear map from one other map explains. The scales of the maps, which a batch norm
            changes, do not matter. A d is missing where there are too few positions to tell.
        ghosts: by d, the number of maps of which more than `spec.redundancy.NEARLY_ALL` is
            explained so.
        pairs: the most similar ones, the best first; no map is in two of them.
    """

    layer: str
    maps: int
    constant: int
    size: tuple[int, int]
    positions: int
    explained: Mapping[int, float]
    ghosts: Mapping[int, int]
    pairs: tuple[MapPair, ...]


NEARLY_ALL = 0.9
"""The share of its variance that makes a map count as the ghost of another."""
