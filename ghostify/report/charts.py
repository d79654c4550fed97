"""Content of charts, drawn as SVG in pages or by Matplotlib to files."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of a chart.

    Attributes:
        parts: heights by role, the tallest first; each part ends where the next one begins.
        tooltip: lines of text.
    """

    parts: tuple[tuple[str, float], ...]
    tooltip: str


@dataclass(frozen=True, slots=True)
class LayerBar:
    """Cost of one convolution before and after conversion.

    Attributes:
        before: cost of the convolution.
        narrowed: its cost with the channels that are left, without ghosts.
        after: its cost now.
        replaced: whether it is a Ghost module now.
    """

    name: str
    before: float
    narrowed: float
    after: float
    replaced: bool
    tooltip: str

    @property
    def parts(self) -> list[tuple[str, float]]:
        """Heights of the parts by role, the tallest first; each one ends where the next begins."""
        parts = [("dropped", self.before)] if self.narrowed != self.before else []
        parts += [("ghosts", self.narrowed)] if self.replaced else []
        return [*parts, ("intrinsic" if self.replaced else "dense", self.after)]


BAR_ROLES = {
    "dropped": "saved by dropped channels",
    "ghosts": "saved by ghosts",
    "intrinsic": "Ghost modules",
    "dense": "convolutions",
}
"""What the parts of a bar are, by role, from the top."""


@dataclass(frozen=True, slots=True)
class Curve:
    """Points of one kind.

    Attributes:
        role: ``original``, ``ghost``, ``reference`` or ``current``; decides color and mark.
        tooltips: one for each point, or none.
    """

    name: str
    points: tuple[tuple[float, float], ...]
    role: str
    tooltips: tuple[str, ...] = ()
    line: bool = False


@dataclass(frozen=True, slots=True)
class Plot:
    """Curves over axes labeled ``x`` and ``y``.

    Attributes:
        percent: show y, a share, in percent.
        whole: x counts something, such as epochs: ticks are whole numbers.
    """

    title: str
    x: str
    y: str
    curves: tuple[Curve, ...]
    percent: bool = False
    whole: bool = False


def stages(names: Iterable[str]) -> list[tuple[str, int]]:
    """Group consecutive layers by stage; return labels and numbers of layers.

    ``features.4`` after ``features.3`` is labeled ``.4``.
    """
    labels = []
    before = ""
    for stage, run in groupby(names, _stage):
        head, dot, number = stage.partition(".")
        short = dot and before.startswith(f"{head}.")
        labels.append((f".{number}" if short else stage, len(list(run))))
        before = stage
    return labels


def bar_legend(bars: Iterable[LayerBar]) -> dict[str, str]:
    """Return those of `BAR_ROLES` that are in the bars."""
    found = {role for bar in bars for role, _ in bar.parts}
    return {role: text for role, text in BAR_ROLES.items() if role in found}


def legend_text(bars: Iterable[LayerBar]) -> str:
    """Say what the parts of the bars are where a chart has no legend."""
    return f"From the top: {', '.join(bar_legend(bars).values())}."


def summarize_bars(bars: Sequence[LayerBar]) -> str:
    """Say how much is left, such as ``45 % left, 35 % saved by dropped channels``."""
    before, narrowed, after = (
        sum(getattr(bar, side) for bar in bars) for side in ("before", "narrowed", "after")
    )
    saved = {"dropped": before - narrowed, "ghosts": narrowed - after}
    shares = [f"{after / before:.0%} left"] if before else ["nothing"]
    shares += [f"{saved[role] / before:.0%} {BAR_ROLES[role]}" for role in saved if saved[role] > 0]
    return ", ".join(shares)


def heaviest_half(bars: Iterable[LayerBar]) -> int:
    """Return the smallest number of layers that together had half of the cost before."""
    costs = sorted((bar.before for bar in bars), reverse=True)
    return bisect_left([*accumulate(costs)], sum(costs) / 2) + bool(costs)


def _stage(name: str) -> str:
    """Return ``layer1`` of ``layer1.0.conv1``, ``features.3`` of ``features.3.conv.0``."""
    steps = name.split(".")
    numbered = len(steps) > 2 and steps[1].isdigit() and not steps[0][-1].isdigit()
    return ".".join(steps[:2]) if numbered else steps[0]
