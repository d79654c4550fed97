"""Bar chart of the costs of each layer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ghostify.report.charts import LayerBar
from ghostify.report.plots.figure import add_legend, label_layers, new_chart, write_plot

_BARS = ((True, "#5b4bc4", "Ghost module"), (False, "#7d838a", "kept"))


def plot_layers(bars: Sequence[LayerBar], file: Path, *, unit: str) -> None:
    """Draw the cost of each layer before and after."""
    figure, axes = new_chart(file, max(6.0, 0.16 * len(bars)), 4)
    places = range(len(bars))
    axes.bar(places, [bar.before for bar in bars], color="#c3c6ca", label="original")
    for replaced, colour, label in _BARS:
        heights = [bar.after if bar.replaced == replaced else 0 for bar in bars]
        axes.bar(places, heights, color=colour, label=label)
    label_layers(axes, [bar.name for bar in bars])
    axes.set_ylabel(unit)
    axes.margins(x=0.01)
    add_legend(axes)
    write_plot(figure, file)
