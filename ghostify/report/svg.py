"""Charts as inline SVG; a page's CSS colours them by class."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import ceil, floor, log10
from xml.etree import ElementTree as ET

from ghostify.report.charts import Curve, LayerBar, Plot

_WIDE, _HIGH = 1000, 200
_WIDTH, _HEIGHT = 440, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 14, 10, 40


def bars_svg(bars: Sequence[LayerBar], title: str) -> str:
    """Draw a bar for each layer: the original cost, and the cost now in front of it.

    The chart stretches to the width of the page, so its text is in tooltips only.
    """
    svg = _svg(_WIDE, _HIGH, title, "bars")
    svg.set("preserveAspectRatio", "none")
    most = max((bar.before for bar in bars), default=0) or 1
    step = _WIDE / max(len(bars), 1)
    width = step * (0.78 if len(bars) < 200 else 1)
    for place, bar in enumerate(bars):
        group = ET.SubElement(svg, "g")
        ET.SubElement(group, "title").text = bar.tooltip
        x = place * step
        _rect(group, "hit", x, _HIGH, step)
        _rect(group, "original" if bar.replaced else "kept", x, _HIGH * bar.before / most, width)
        if bar.replaced:
            _rect(group, "ghost", x, _HIGH * bar.after / most, width)
    return _text(svg)


def plot_svg(plot: Plot) -> str:
    """Draw points and lines over axes with round numbers."""
    svg = _svg(_WIDTH, _HEIGHT, plot.title, "plot")
    points = [point for curve in plot.curves for point in curve.points]
    ticks_x, ticks_y = (_ticks([point[axis] for point in points]) for axis in (0, 1))

    def at(point: tuple[float, float]) -> tuple[float, float]:
        x = _share(point[0], ticks_x) * (_WIDTH - _LEFT - _RIGHT) + _LEFT
        return x, _HEIGHT - _BOTTOM - _share(point[1], ticks_y) * (_HEIGHT - _TOP - _BOTTOM)

    for tick in ticks_y:
        y = at((ticks_x[0], tick))[1]
        _line(svg, "grid", (_LEFT, y), (_WIDTH - _RIGHT, y))
        label = f"{tick:.4g}" if not plot.percent else f"{100 * tick:.4g}%"
        _label(svg, label, _LEFT - 6, y + 4, "end")
    for tick in ticks_x:
        _label(svg, _short(tick), at((tick, ticks_y[0]))[0], _HEIGHT - _BOTTOM + 16, "middle")
    _label(svg, plot.x, (_WIDTH + _LEFT - _RIGHT) / 2, _HEIGHT - 6, "middle")
    for curve in plot.curves:
        _draw(svg, curve, [at(point) for point in curve.points])
    return _text(svg)


def meter_svg(value: float, mark: float, most: float, title: str) -> str:
    """Draw a value as a bar with a mark across it."""
    svg = _svg(100, 12, title, "meter")
    svg.set("preserveAspectRatio", "none")
    ET.SubElement(svg, "title").text = title
    _rect(svg, "track", 0, 12, 100, high=12)
    _rect(svg, "ghost", 0, 12, 100 * value / most, high=12)
    x = 100 * mark / most
    _line(svg, "mark", (x, 0), (x, 12))
    return _text(svg)


def _draw(svg: ET.Element, curve: Curve, places: Sequence[tuple[float, float]]) -> None:
    group = ET.SubElement(svg, "g", {"class": curve.role})
    if curve.line:
        for start, end in pairwise(places):
            _line(group, "curve", start, end)
    for place, (x, y) in enumerate(places):
        radius = "2" if len(places) > 40 else "6" if curve.role == "current" else "4"
        dot = ET.SubElement(group, "circle", {"cx": f"{x:.1f}", "cy": f"{y:.1f}", "r": radius})
        if curve.tooltips:
            ET.SubElement(dot, "title").text = curve.tooltips[place]


def _svg(width: int, height: int, title: str, kind: str) -> ET.Element:
    view = f"0 0 {width} {height}"
    return ET.Element("svg", {"viewBox": view, "role": "img", "aria-label": title, "class": kind})


def _rect(
    parent: ET.Element, role: str, x: float, height: float, width: float, high: float = _HIGH
) -> None:
    numbers = {"x": x, "y": high - height, "width": width, "height": height}
    ET.SubElement(parent, "rect", {"class": role, **{k: f"{v:.5g}" for k, v in numbers.items()}})


def _line(
    parent: ET.Element, role: str, start: tuple[float, float], end: tuple[float, float]
) -> None:
    numbers = {"x1": start[0], "y1": start[1], "x2": end[0], "y2": end[1]}
    ET.SubElement(parent, "line", {"class": role, **{k: f"{v:.1f}" for k, v in numbers.items()}})


def _label(parent: ET.Element, text: str, x: float, y: float, anchor: str) -> None:
    place = {"x": f"{x:.1f}", "y": f"{y:.1f}", "text-anchor": anchor}
    ET.SubElement(parent, "text", place).text = text


def _ticks(values: Sequence[float]) -> list[float]:
    """Return two to eight round numbers that enclose the values.

    A single value at the edge gets a tick below it, so that an axis in percent ends at 100 %.
    """
    low, high = min(values, default=0), max(values, default=1)
    span = (high - low) or abs(high) or 1
    step = 10.0 ** floor(log10(span / 4))
    step *= next(f for f in (1, 2, 2.5, 5, 10) if span / (step * f) <= 5)
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


def _text(svg: ET.Element) -> str:
    return ET.tostring(svg, encoding="unicode")
