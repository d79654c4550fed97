"""Content of charts, drawn as SVG in pages or by Matplotlib to files."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate, groupby


@dataclass(frozen=True, slots=True)
class LayerBar:
    """Cost of one convolution before and after conversion."""

    name: str
    before: float
    after: float
    replaced: bool
    tooltip: str


@dataclass(frozen=True, slots=True)
class Curve:
    """Points of one kind.

    Attributes:
        role: ``original``, ``ghost`` or ``current``; decides the colour.
        tooltips: one for each point, or none.
    """

    name: str
    points: tuple[tuple[float, float], ...]
    role: str
    tooltips: tuple[str, ...] = ()
    line: bool = False


@dataclass(frozen=True, slots=True)
class Plot:
    """Curves over axes labelled ``x`` and ``y``; ``percent`` shows a share y in percent."""

    title: str
    x: str
    y: str
    curves: tuple[Curve, ...]
    percent: bool = False


def stages(names: Iterable[str]) -> list[tuple[str, int]]:
    """Group consecutive layers by stage; return labels and numbers of layers.

    ``features.4`` after ``features.3`` is labelled ``.4``.
    """
    labels = []
    before = ""
    for stage, run in groupby(names, _stage):
        head, dot, number = stage.partition(".")
        short = dot and before.startswith(f"{head}.")
        labels.append((f".{number}" if short else stage, len(list(run))))
        before = stage
    return labels


def heaviest_half(bars: Iterable[LayerBar]) -> int:
    """Return the smallest number of layers that together had half of the cost before."""
    costs = sorted((bar.before for bar in bars), reverse=True)
    return bisect_left([*accumulate(costs)], sum(costs) / 2) + bool(costs)


def _stage(name: str) -> str:
    """Return ``layer1`` of ``layer1.0.conv1``, ``features.3`` of ``features.3.conv.0``."""
    steps = name.split(".")
    numbered = len(steps) > 2 and steps[1].isdigit() and not steps[0][-1].isdigit()
    return ".".join(steps[:2]) if numbered else steps[0]
