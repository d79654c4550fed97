"""The charts of the page as files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from ghostify.report.charts import layer_bars
from ghostify.report.html.curves import page_plots
from ghostify.report.html.summary import ArtifactSummary
from ghostify.report.plots.curves import plot_curves
from ghostify.report.plots.layers import plot_layers
from ghostify.report.plots.timing import plot_timing

ENDINGS = (".png", ".svg")


def write_plots(summary: ArtifactSummary, folder: Path) -> None:
    """Write each chart that there are values for to ``folder``, as PNG and as SVG.

    Raises:
        GhostifyError: as `check_plot`.
        OSError: if a file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, plot in _charts(summary):
        for ending in ENDINGS:
            plot(file=folder / f"{name}{ending}")


def _charts(summary: ArtifactSummary) -> Iterator[tuple[str, Callable[..., None]]]:
    for cost, unit in (("macs", "MACs"), ("params", "parameters")):
        yield cost, partial(plot_layers, layer_bars(summary.report.sites, cost), unit=unit)
    for name, plot in page_plots(summary).items():
        yield name, partial(plot_curves, plot)
    for place, timing in enumerate(summary.timings, 1):
        yield f"speed-{place}" if place > 1 else "speed", partial(plot_timing, timing)
