"""What charts show, before they are drawn as SVG in a page or by Matplotlib to a file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from ghostify.report.document import si
from ghostify.report.site_rows import KeptSite, ReplacedSite


@dataclass(frozen=True, slots=True)
class LayerBar:
    """One convolution.

    Attributes:
        name: its qualified name.
        before: what it cost.
        after: what it costs now.
        replaced: whether it is a Ghost module.
        said: all of it in words.
    """

    name: str
    before: float
    after: float
    replaced: bool
    said: str


@dataclass(frozen=True, slots=True)
class Curve:
    """Points of one kind.

    Attributes:
        name: for the legend.
        points: x and y.
        role: ``original``, ``ghost``, ``other`` or ``here``, which decides the colour.
        said: a word for each point, or none.
        line: whether the points are joined.
    """

    name: str
    points: tuple[tuple[float, float], ...]
    role: str
    said: tuple[str, ...] = ()
    line: bool = False


@dataclass(frozen=True, slots=True)
class Plot:
    """Curves over one axis.

    Attributes:
        title: what is seen.
        x, y: what the axes are.
        curves: with the points.
        percent: whether y is a share.
    """

    title: str
    x: str
    y: str
    curves: tuple[Curve, ...]
    percent: bool = False


def layer_bars(sites: Iterable[ReplacedSite | KeptSite], cost: str) -> tuple[LayerBar, ...]:
    """A bar for each convolution in the order of ``sites``.

    Args:
        sites: the rows of a report.
        cost: ``macs`` or ``params``.
    """
    bars = []
    for row in sites:
        before, after = getattr(row, f"{cost}_before"), getattr(row, f"{cost}_after")
        replaced = not isinstance(row, KeptSite)
        now = f"stays: {row.reason}" if isinstance(row, KeptSite) else str(row.ghost)
        numbers = f"{si(before)} → {si(after)}" if replaced else si(before)
        unit = "MACs" if cost == "macs" else "parameters"
        said = f"{row.site.name}\n{row.site.geometry}\n{numbers} {unit}\n{now}"
        bars.append(LayerBar(row.site.name, before, after, replaced, said))
    return tuple(bars)


def stages(names: Iterable[str]) -> list[tuple[str, int]]:
    """Runs of layers in one part of the network, and how many layers each has.

    Of ``features.4`` behind ``features.3`` no more is said than ``.4``.
    """
    runs = [(stage, len(list(run))) for stage, run in groupby(names, _stage)]
    earlier = ["", *(stage for stage, _ in runs)]
    return [
        (_behind(before, stage), number)
        for before, (stage, number) in zip(earlier, runs, strict=False)
    ]


def heaviest_half(bars: Iterable[LayerBar]) -> int:
    """The least number of layers that together had half of the cost before."""
    costs = sorted((bar.before for bar in bars), reverse=True)
    half, total = sum(costs) / 2, 0.0
    for number, cost in enumerate(costs, 1):
        total += cost
        if total >= half:
            return number
    return 0


def _behind(before: str, stage: str) -> str:
    head, dot, number = stage.partition(".")
    return f".{number}" if dot and before.startswith(f"{head}.") else stage


def _stage(name: str) -> str:
    """``layer1`` of ``layer1.0.conv1``, ``features.3`` of ``features.3.conv.0``."""
    steps = name.split(".")
    numbered = len(steps) > 2 and steps[1].isdigit() and not steps[0][-1].isdigit()
    return ".".join(steps[:2]) if numbered else steps[0]
