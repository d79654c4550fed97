"""The charts of the page as files, drawn by Matplotlib."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ghostify.report.charts import LayerBar, Plot, layer_bars
from ghostify.report.html import sections
from ghostify.report.html.findings import Findings
from ghostify.report.plots import write_plot
from ghostify.report.timing import plot_timing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ENDINGS = (".png", ".svg")
_COLOURS = {"original": "#7d838a", "ghost": "#5b4bc4", "here": "#5b4bc4"}


def draw(findings: Findings, folder: Path) -> None:
    """Write each chart that there are data for to ``folder``, as PNG and as SVG.

    Raises:
        OSError: if a file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, write in _charts(findings):
        for ending in ENDINGS:
            write(folder / f"{name}{ending}")


def _charts(findings: Findings) -> Iterator[tuple[str, Callable[[Path], None]]]:
    for cost, unit in (("macs", "MACs"), ("params", "parameters")):
        yield cost, partial(write_plot, _of_layers(layer_bars(findings.report.sites, cost), unit))
    for name, plot in sections.plots(findings).items():
        yield name, partial(write_plot, _of_points(plot))
    for place, timing in enumerate(findings.timings):
        name = f"speed-{place + 1}" if place else "speed"
        yield name, partial(plot_timing, timing)


def _of_layers(bars: Sequence[LayerBar], unit: str) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(max(6.0, 0.16 * len(bars)), 4), layout="constrained")
    axes = figure.subplots()
    places = range(len(bars))
    axes.bar(places, [bar.before for bar in bars], color="#c3c6ca", label="original")
    for replaced, colour, label in ((True, "#5b4bc4", "as a Ghost module"),
                                    (False, "#7d838a", "stays as it was")):  # fmt: skip
        shown = [bar.after if bar.replaced == replaced else 0 for bar in bars]
        axes.bar(places, shown, color=colour, label=label)
    axes.set_xticks(places, [bar.name for bar in bars], rotation=90, fontsize=6)
    axes.set_ylabel(unit)
    axes.margins(x=0.01)
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _of_points(plot: Plot) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for curve in plot.curves:
        hollow = "none" if curve.role == "here" else None
        axes.plot(
            *zip(*curve.points, strict=True),
            marker="o", markersize=9 if hollow else 5, markerfacecolor=hollow,
            linestyle="-" if curve.line else "", color=_COLOURS[curve.role], label=curve.name,
        )  # fmt: skip
    axes.set_xlabel(plot.x)
    axes.set_ylabel(plot.y)
    if plot.percent:
        axes.yaxis.set_major_formatter("{x:.1%}")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    return figure
