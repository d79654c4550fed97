"""Points and lines over two axes."""

from __future__ import annotations

from pathlib import Path

from ghostify.report.charts import Plot
from ghostify.report.plots.figure import add_legend, new_chart, write_plot

_COLOURS = {"original": "#7d838a", "ghost": "#5b4bc4", "current": "#5b4bc4"}


def plot_curves(plot: Plot, file: Path) -> None:
    """Draw the curves of a plot."""
    figure, axes = new_chart(file, 6, 4)
    for curve in plot.curves:
        hollow = "none" if curve.role == "current" else None
        axes.plot(
            [x for x, _ in curve.points], [y for _, y in curve.points],
            marker="o", markersize=9 if hollow else 5, markerfacecolor=hollow,
            linestyle="-" if curve.line else "", color=_COLOURS[curve.role], label=curve.name,
        )  # fmt: skip
    axes.set_xlabel(plot.x)
    axes.set_ylabel(plot.y)
    if plot.percent:
        axes.yaxis.set_major_formatter("{x:.1%}")
    axes.grid(alpha=0.3)
    add_legend(axes)
    write_plot(figure, file)
