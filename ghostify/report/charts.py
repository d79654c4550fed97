"""Content of charts, drawn as SVG in pages or by Matplotlib to files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from ghostify.report.document import si
from ghostify.report.site_row import SiteRow


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


def layer_bars(rows: Iterable[SiteRow], cost: str) -> tuple[LayerBar, ...]:
    """Return a bar for each row of a report; ``cost`` is ``macs`` or ``params``."""
    unit = "MACs" if cost == "macs" else "parameters"
    bars = []
    for row in rows:
        before, after = getattr(row, f"{cost}_before"), getattr(row, f"{cost}_after")
        numbers = f"{si(before)} → {si(after)}" if row.ghost else si(before)
        what = str(row.ghost) if row.ghost else f"kept: {row.reason}"
        tooltip = f"{row.site.name}\n{row.site.geometry}\n{numbers} {unit}\n{what}"
        bars.append(LayerBar(row.site.name, before, after, row.ghost is not None, tooltip))
    return tuple(bars)


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
    half, total = sum(costs) / 2, 0.0
    for number, cost in enumerate(costs, 1):
        total += cost
        if total >= half:
            return number
    return 0


def _stage(name: str) -> str:
    """Return ``layer1`` of ``layer1.0.conv1``, ``features.3`` of ``features.3.conv.0``."""
    steps = name.split(".")
    numbered = len(steps) > 2 and steps[1].isdigit() and not steps[0][-1].isdigit()
    return ".".join(steps[:2]) if numbered else steps[0]
