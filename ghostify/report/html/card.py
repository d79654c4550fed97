"""The summary of a page as one picture."""

from __future__ import annotations

from pathlib import Path

from ghostify.report.document import shorten
from ghostify.report.html.headline import accuracy_line, headline
from ghostify.report.html.summary import ArtifactSummary
from ghostify.report.layer_bars import layer_bars
from ghostify.report.plots import BAR_COLORS, check_plot, write_plot

_INK, _SOFT, _WORSE, _PAPER = "#1c1e21", "#5c6167", "#a34700", "#fcfcfa"
_INCHES, _DPI = (12, 6.3), 100
_LONGEST, _LONGEST_TITLE = 34, 60
"""Characters of a line in the largest type, and of the title."""


def write_card(summary: ArtifactSummary, file: Path, *, title: str | None = None) -> None:
    """Draw title, headline, accuracy and the MACs of each layer, 1200 x 630 pixels."""
    check_plot(file)
    from matplotlib.figure import Figure

    figure = Figure(figsize=_INCHES, dpi=_DPI, facecolor=_PAPER)
    parts = headline(summary)
    longest = max((len(part.text) for part in parts), default=0)

    def write(text: str, y: float, size: float, color: str, weight: str = "normal") -> None:
        figure.text(
            0.05, y, text, size=size, color=color, weight=weight, va="center", parse_math=False
        )

    (name,) = shorten([title or summary.report.model], _LONGEST_TITLE)
    write(name, 0.91, 24, _SOFT)
    for place, part in enumerate(parts):
        size = min(36, 36 * _LONGEST / max(longest, 1))
        write(part.text, 0.795 - 0.115 * place, size, _WORSE if part.worse else _INK, "bold")
    write(accuracy_line(summary), 0.34, 18, _SOFT)
    axes = figure.add_axes((0.05, 0.06, 0.9, 0.21))
    axes.set_axis_off()
    bars = layer_bars(summary.report.sites, "MACs")
    for place, bar in enumerate(bars):
        for role, height in bar.parts:
            axes.bar(place, height, 0.8, color=BAR_COLORS[role])
    axes.set_xlim(-0.4, len(bars) - 0.6)
    write_plot(figure, file)
