"""Charts as inline SVG; a page's CSS colors them by class."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import ceil, floor, log10
from xml.etree import ElementTree as ET

from ghostify.report.charts import Bar, LayerBar, Plot

_WIDE, _HIGH = 1000, 200
_WIDTH, _HEIGHT = 440, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 14, 10, 40
_EQUAL, _ZERO = 1e-9, 1e-99  # relative, absolute
_COLORS = {"original": "gray", "ghost": "purple", "reference": "square", "current": "ring"}


def bars_svg(bars: Sequence[Bar | LayerBar], title: str) -> str:
    """Draw a bar for each layer, such as its cost, what is left of it, and what saved the rest.

    The chart stretches to the width of the page, so its text is in tooltips only.
    """
    svg = _svg(_WIDE, _HIGH, title, "bars", preserveAspectRatio="none")
    most = max((height for bar in bars for _, height in bar.parts), default=0) or 1
    step = _WIDE / max(len(bars), 1)
    width = step * (0.78 if len(bars) < 200 else 1)
    for place, bar in enumerate(bars):
        group = _add(svg, "g")
        _add(group, "title", bar.tooltip)
        parts = [(role, cost, width) for role, cost in bar.parts]
        for role, cost, wide in [("hit", most, step), *parts]:
            high = _HIGH * cost / most
            _add(group, "rect", role=role, x=place * step, y=_HIGH - high, width=wide, height=high)
    return ET.tostring(svg, encoding="unicode")


def plot_svg(plot: Plot) -> str:
    """Draw points and lines over axes with round numbers."""
    svg = _svg(_WIDTH, _HEIGHT, plot.title, "plot")
    points = [point for curve in plot.curves for point in curve.points]
    ticks_x = _ticks([x for x, _ in points], whole=plot.whole)
    ticks_y = _ticks([y for _, y in points])

    def at(point: tuple[float, float]) -> tuple[float, float]:
        x = _share(point[0], ticks_x) * (_WIDTH - _LEFT - _RIGHT) + _LEFT
        return x, _HEIGHT - _BOTTOM - _share(point[1], ticks_y) * (_HEIGHT - _TOP - _BOTTOM)

    for tick in ticks_y:
        y = at((ticks_x[0], tick))[1]
        _line(svg, "grid", (_LEFT, y), (_WIDTH - _RIGHT, y))
        label = f"{100 * tick:.4g}%" if plot.percent else f"{tick:.4g}"
        _label(svg, label, _LEFT - 6, y + 4, "end")
    for tick in ticks_x:
        _label(svg, _short(tick), at((tick, ticks_y[0]))[0], _HEIGHT - _BOTTOM + 16, "middle")
    _label(svg, plot.x, (_WIDTH + _LEFT - _RIGHT) / 2, _HEIGHT - 6, "middle")
    for curve in plot.curves:
        group = _add(svg, "g", role=curve.role)
        places = [at(point) for point in curve.points]
        for start, end in pairwise(places if curve.line else ()):
            _line(group, "curve", start, end)
        radius = 2 if len(places) > 40 else 6 if curve.role == "current" else 4
        for place, (x, y) in enumerate(places):
            if curve.role == "reference":
                dot = _add(group, "rect", x=x - 5, y=y - 5, width=10, height=10)
            else:
                dot = _add(group, "circle", cx=x, cy=y, r=radius)
            if curve.tooltips:
                _add(dot, "title", curve.tooltips[place])
    return ET.tostring(svg, encoding="unicode")


def captioned(plot: Plot) -> tuple[str, str]:
    """Draw a plot, with its title and curves as the caption."""
    curves = (f"{curve.name} ({_COLORS[curve.role]})" for curve in plot.curves)
    return f"{plot.title} by {plot.x}: {', '.join(curves)}", plot_svg(plot)


def meter_svg(
    value: float, mark: float, most: float, title: str, *, base: float | None = None
) -> str:
    """Draw a value as a bar with a mark across it.

    A dashed line is drawn at ``base``; a bar that does not reach it looks worse.
    """
    svg = _svg(100, 12, title, "meter", preserveAspectRatio="none")
    _add(svg, "title", title)
    _add(svg, "rect", role="track", x=0, y=0, width=100, height=12)
    role = "ghost" if base is None or value >= base else "worse"
    _add(svg, "rect", role=role, x=0, y=0, width=100 * value / most, height=12)
    for line, place in (("base", base), ("mark", mark)):
        if place is not None:
            _line(svg, line, (100 * place / most, 0), (100 * place / most, 12))
    return ET.tostring(svg, encoding="unicode")


def _svg(width: int, height: int, title: str, kind: str, **attributes: str) -> ET.Element:
    given = {"viewBox": f"0 0 {width} {height}", "role": "img", "aria-label": title, "class": kind}
    return ET.Element("svg", given | attributes)


def _add(
    parent: ET.Element, tag: str, text: str | None = None, role: str = "", **numbers: float
) -> ET.Element:
    attributes = {"class": role} if role else {}
    attributes |= {name: f"{number:.5g}" for name, number in numbers.items()}
    child = ET.SubElement(parent, tag, attributes)
    child.text = text
    return child


def _line(
    parent: ET.Element, role: str, start: tuple[float, float], end: tuple[float, float]
) -> None:
    _add(parent, "line", role=role, x1=start[0], y1=start[1], x2=end[0], y2=end[1])


def _label(parent: ET.Element, text: str, x: float, y: float, anchor: str) -> None:
    _add(parent, "text", text, x=x, y=y).set("text-anchor", anchor)


def _ticks(values: Sequence[float], *, whole: bool = False) -> list[float]:
    """Return two to eight round numbers that enclose the values, or ``whole`` numbers.

    A single value on a tick gets a tick below it, so that an axis in percent ends at 100 %. Values
    that differ by rounding alone count as one.
    """
    low, high = min(values, default=0), max(values, default=1)
    size = max(abs(low), abs(high))
    span = next(span for span in (high - low, size, 1) if span > max(_EQUAL * size, _ZERO))
    step = 10.0 ** floor(log10(span / 4))
    step *= next(f for f in (1, 2, 2.5, 5, 10) if span / (step * f) <= 5)
    step = float(ceil(step)) if whole else step
    first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
    if first == last:
        first, last = (first, last + 1) if low <= 0 else (first - 1, last)
    return [place * step for place in range(first, last + 1)]


def _share(value: float, ticks: Sequence[float]) -> float:
    return (value - ticks[0]) / (ticks[-1] - ticks[0])


def _short(number: float) -> str:
    for prefix, size in (("G", 1e9), ("M", 1e6), ("K", 1e3)):
        if abs(number) >= size:
            return f"{number / size:.4g}{prefix}"
    return f"{number:.4g}"
