"""Curves of sensitivity over the layers."""

from __future__ import annotations

from collections.abc import Sequence
from math import nan
from pathlib import Path

from ghostify.report.plots.figure import add_legend, label_layers, new_chart, write_plot
from ghostify.types import ConvSite, Sensitivity


def plot_sensitivity(
    sensitivity: Sensitivity, sites: Sequence[ConvSite], file: Path, *, title: str
) -> None:
    """Draw a curve for each Ghost module over the layers in execution order."""
    names = [site.name for site in sites if site.name in sensitivity.layers]
    figure, axes = new_chart(file, max(6.0, 0.22 * len(names)), 5)
    for ghost in sensitivity.candidates:
        values = [sensitivity.layers[name].get(ghost, nan) for name in names]
        axes.plot(range(len(names)), values, marker=".", label=str(ghost))
    label_layers(axes, names)
    if any(value > 0 for name in names for value in sensitivity.layers[name].values()):
        axes.set_yscale("log")
    axes.set_ylabel(f"sensitivity, {sensitivity.unit}")
    axes.set_title(title)
    axes.grid(alpha=0.3)
    add_legend(axes)
    write_plot(figure, file)
