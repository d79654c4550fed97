"""Charts as SVG, in the colors of the page that shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from xml.etree import ElementTree as ET

WIDTH = 460
_STYLE = """
.chart{display:block;margin:1rem 0;width:100%;max-width:28rem;height:auto;font:12px sans-serif;
--ink:var(--md-default-fg-color,#333);--soft:var(--md-default-fg-color--light,#666);
--rule:var(--md-default-fg-color--lightest,#ddd);
--ours:#5b4bc4;--light:#a79be0;--worse:#c4501b;--other:#7d838a;--third:#2a8a7c;--fourth:#b0577f}
[data-md-color-scheme=slate] .chart{--ours:#a99df0;--light:#6a5cc9;--worse:#f08a54;--other:#989fa8;
--third:#4fbdac;--fourth:#dc8bb0}
.chart text{fill:var(--ink)}.chart .soft{fill:var(--soft)}.chart .title{font-weight:700}
.chart line{stroke:var(--rule)}
.chart .mark{stroke:var(--ink);stroke-width:2}
"""
_STYLE += "".join(
    f".chart rect.{role},.chart circle.{role}{{fill:var(--{role})}}"
    f".chart line.{role}{{stroke:var(--{role});stroke-width:2;stroke-linecap:round}}"
    for role in ("ours", "light", "worse", "other", "third", "fourth")
)


@dataclass(frozen=True)
class Bar:
    """One row of a bar chart.

    Attributes:
        text: written behind the bar.
        parts: roles, which decide the colors, and lengths.
        mark: where a line crosses the bar.
    """

    label: str
    text: str
    parts: tuple[tuple[str, float], ...]
    mark: float | None = None


@dataclass(frozen=True)
class Line:
    """Points ``(x, y)`` from left to right, named at the last one."""

    label: str
    role: str
    points: tuple[tuple[float, float], ...]


def bars(title: str, rows: Sequence[Bar], legend: Sequence[tuple[str, str]] = ()) -> str:
    """Draw a bar for each row, with its label above it.

    Args:
        legend: roles and what they stand for; ``mark`` is the line that crosses a bar.
    """
    top = 50 if legend else 26
    svg = _svg(title, top + 36 * len(rows))
    _text(svg, title, 0, 12, "title")
    _legend(svg, legend, 28)
    lengths = [sum(length for _, length in row.parts) for row in rows]
    scale = (WIDTH - 96) / max([*lengths, *(row.mark or 0 for row in rows)])
    for place, (row, length) in enumerate(zip(rows, lengths, strict=True)):
        y = top + 36 * place
        _text(svg, row.label, 0, y + 10)
        x = 0.0
        for role, part in row.parts:
            _add(svg, "rect", role, x=x, y=y + 16, width=part * scale, height=13)
            x += part * scale
        if row.mark is not None:
            at = row.mark * scale
            _add(svg, "line", "mark", x1=at, y1=y + 14, x2=at, y2=y + 31)
        _text(svg, row.text, max(length, row.mark or 0) * scale + 6, y + 27, "soft")
    return ET.tostring(svg, encoding="unicode")


def lines(title: str, x: str, y: str, curves: Sequence[Line]) -> str:
    """Draw lines over an axis of shares from 1 down, and one from 0 to 100 %."""
    high, left, right, bottom = 240, 40, WIDTH - 120, 196
    svg = _svg(title, high)
    shares = sorted({point[0] for curve in curves for point in curve.points})

    def at(point: tuple[float, float]) -> tuple[float, float]:
        along = (shares[-1] - point[0]) / (shares[-1] - shares[0])
        return left + along * (right - left), bottom - point[1] / 100 * (bottom - 24)

    _text(svg, y, 0, 12, "title")
    for tick in (0, 25, 50, 75, 100):
        level = at((shares[0], tick))[1]
        _add(svg, "line", x1=left, y1=level, x2=right, y2=level)
        _text(svg, f"{tick}%", left - 6, level + 4, "soft", "end")
    for share in shares:
        _text(svg, f"{share:g}", at((share, 0))[0], bottom + 18, "soft", "middle")
    _text(svg, x, (left + right) / 2, bottom + 38, "soft", "middle")
    floor = float("-inf")
    for curve in sorted(curves, key=lambda curve: -curve.points[-1][1]):
        places = [at(point) for point in curve.points]
        for (x1, y1), (x2, y2) in pairwise(places):
            _add(svg, "line", curve.role, x1=x1, y1=y1, x2=x2, y2=y2)
        for cx, cy in places:
            _add(svg, "circle", curve.role, cx=cx, cy=cy, r=4)
        floor = max(floor + 15, places[-1][1] + 4)  # labels do not overlap
        _text(svg, curve.label, right + 10, floor)
    return ET.tostring(svg, encoding="unicode")


def _svg(title: str, height: float) -> ET.Element:
    svg = ET.Element(
        "svg",
        {"xmlns": "http://www.w3.org/2000/svg", "viewBox": f"0 0 {WIDTH} {height:g}",
         "class": "chart", "role": "img", "aria-label": title,
         "data-search-exclude": ""},
    )  # fmt: skip
    ET.SubElement(svg, "style").text = _STYLE.replace("\n", "")
    return svg


def _legend(svg: ET.Element, legend: Sequence[tuple[str, str]], y: float) -> None:
    x = 0.0
    for role, text in legend:
        if role == "mark":
            _add(svg, "line", "mark", x1=x + 5, y1=y - 2, x2=x + 5, y2=y + 12)
        else:
            _add(svg, "rect", role, x=x, y=y, width=10, height=10)
        _text(svg, text, x + 15, y + 9, "soft")
        x += 28 + 5.6 * len(text)


def _add(svg: ET.Element, tag: str, role: str = "", **numbers: float) -> ET.Element:
    attributes = {"class": role} if role else {}
    return ET.SubElement(svg, tag, attributes | {k: f"{v:.5g}" for k, v in numbers.items()})


def _text(
    svg: ET.Element, text: str, x: float, y: float, role: str = "", anchor: str = "start"
) -> None:
    written = _add(svg, "text", role, x=x, y=y)
    written.set("text-anchor", anchor)
    written.text = text
