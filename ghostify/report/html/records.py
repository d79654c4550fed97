"""Entries of measurements that are no records of their own, to be checked when they are read."""

from __future__ import annotations

from typing import Annotated, TypedDict

from ghostify.types import Count, Outputs, Score
from ghostify.types.constraints import (
    Length,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
    Share,
)


class Costs(TypedDict):
    """What `Report.costs` returns."""

    model: str
    input: str
    before: Count
    after: Count


class _Verified(TypedDict):
    path: str
    to: str
    batch: PositiveInt | None
    inputs: NonNegativeInt
    max_abs_error: NonNegativeFloat
    max_relative_error: NonNegativeFloat
    size: NonNegativeInt


class Export(_Verified, total=False):
    """The fields of an export."""

    note: str
    calibrated: NonNegativeInt
    score: Score | None
    outputs: Outputs | None


class _Picture(TypedDict):
    channel: int
    original: str | None


class _Pruned(_Picture):
    converted: str


class _Ghost(_Picture):
    source: int
    intrinsic: str
    ghost: str


class _Site(TypedDict):
    name: str
    size: tuple[int, int]
    maps: Annotated[tuple[_Ghost, ...], Length(1)] | Annotated[tuple[_Pruned, ...], Length(1)]


class FeatureMapImages(TypedDict):
    """What `feature_map_images` returns."""

    image: str
    sites: Annotated[tuple[_Site, ...], Length(1)]
    classes: tuple[tuple[int, Share], ...] | None
    original_classes: tuple[tuple[int, Share], ...] | None
