"""Charts drawn by Matplotlib.

Every plot function writes a file, and raises what `check_plot` and `write_plot` raise.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING

from ghostify.io.atomic import new_files
from ghostify.report.charts import LayerBar, Plot, bar_legend
from ghostify.report.sensitivity_table import WIDTH_SHARES, pruning_sensitivity
from ghostify.report.timing import Timing
from ghostify.types import ConvSite, GhostifyError, Sensitivity
from ghostify.types.errors import install

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLORS = {
    "original": "#7d838a", "ghost": "#5b4bc4", "reference": "#1c1e21", "current": "#5b4bc4"
}  # fmt: skip
BAR_COLORS = {
    "dropped": "#c3c6ca", "ghosts": "#a79be0", "intrinsic": "#5b4bc4", "dense": "#7d838a"
}  # fmt: skip
"""By role of the part, as in `BAR_ROLES`."""


def check_plot(file: Path) -> None:
    """Check that a chart can be written to ``file``.

    Raises:
        GhostifyError: if Matplotlib is missing, or does not write this format.
    """
    try:
        from matplotlib.backend_bases import FigureCanvasBase
    except ImportError as error:
        raise GhostifyError(f"a plot needs Matplotlib: {install('plot')}") from error
    ending = file.suffix.lower().removeprefix(".")
    if ending not in FigureCanvasBase.get_supported_filetypes():
        raise GhostifyError(f"cannot plot to {file}: the ending must be one such as .png or .svg")


def write_plot(figure: Figure, file: Path) -> None:
    """Write the figure atomically.

    Raises:
        OSError: if the file cannot be written.
    """
    with new_files(file) as new:
        figure.savefig(new)


def plot_layers(bars: Sequence[LayerBar], file: Path, *, unit: str) -> None:
    """Draw the cost of each layer: what is left of it, and what saved the rest."""
    figure, axes = _new_chart(file, max(6.0, 0.16 * len(bars)), 4)
    for role, label in bar_legend(bars).items():  # the tallest parts first
        heights = [dict(bar.parts).get(role, 0) for bar in bars]
        axes.bar(range(len(bars)), heights, color=BAR_COLORS[role], label=label)
    _label_layers(axes, [bar.name for bar in bars])
    axes.set_ylabel(unit)
    axes.margins(x=0.01)
    if bars:
        figure.legend(loc="outside upper center", ncols=2, frameon=False)
    write_plot(figure, file)


def plot_curves(plot: Plot, file: Path) -> None:
    """Draw the curves of a plot."""
    figure, axes = _new_chart(file, 6, 4)
    for curve in plot.curves:
        is_single = curve.role in ("reference", "current")
        axes.plot(
            [x for x, _ in curve.points], [y for _, y in curve.points],
            marker="s" if curve.role == "reference" else "o", markersize=9 if is_single else 5,
            markerfacecolor="none" if curve.role == "current" else None,
            linestyle="-" if curve.line else "", color=_COLORS[curve.role], label=curve.name,
        )  # fmt: skip
    axes.set(xlabel=plot.x, ylabel=plot.y)
    if plot.percent:
        axes.yaxis.set_major_formatter("{x:.1%}")
    if plot.whole:
        axes.locator_params("x", integer=True)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    write_plot(figure, file)


def plot_sensitivity(
    sensitivity: Sensitivity, sites: Sequence[ConvSite], file: Path, *, title: str
) -> None:
    """Draw a curve for each Ghost module and for some widths over the layers in order."""
    layers, widths = sensitivity.layers, sensitivity.widths
    names = [site.name for site in sites if site.name in {*layers, *widths}]
    by_share = [pruning_sensitivity(sensitivity, name) for name in names]
    curves = {
        str(ghost): [layers.get(name, {}).get(ghost, nan) for name in names]
        for ghost in sensitivity.candidates
    } | {
        f"{share} of the channels": [found.get(share, nan) for found in by_share]
        for share in (WIDTH_SHARES if widths else ())
    }
    figure, axes = _new_chart(file, max(6.0, 0.22 * len(names)), 5)
    for label, values in curves.items():
        style = "--" if label.endswith("channels") else "-"
        axes.plot(range(len(names)), values, marker=".", linestyle=style, label=label)
    _label_layers(axes, names)
    if any(value > 0 for values in curves.values() for value in values):
        axes.set_yscale("log")
    axes.set(ylabel=f"sensitivity, {sensitivity.unit}", title=title)
    axes.grid(alpha=0.3)
    if curves:
        axes.legend(frameon=False)
    write_plot(figure, file)


def plot_timing(timing: Timing, file: Path) -> None:
    """Draw speed-ups as bars and MACs ratios as lines; of a single network, its time."""
    others = [model for model in timing.macs if model != timing.first]
    shown = others or [timing.first]
    settings = list(dict.fromkeys("\n".join(m.setting) for m in timing.measurements))
    figure, axes = _new_chart(file, 2 + max(len(settings), 1) * max(1.1, 0.6 * len(shown)), 5)
    width = 0.8 / len(shown)
    for place, model in enumerate(shown):
        own = [m for m in timing.measurements if m.model == model]
        shift = (place - (len(shown) - 1) / 2) * width
        places = [settings.index("\n".join(m.setting)) + shift for m in own]
        spreads = [m.speedup if others else m.seconds for m in own]
        medians = [s.median for s in spreads]
        errors = [[s.median - s.lower for s in spreads], [s.upper - s.median for s in spreads]]
        axes.bar(places, medians, width, yerr=errors, capsize=3, color=f"C{place}", label=model)
        for x, number in zip(places, medians, strict=True):
            axes.annotate(f"{number:.3g}", (x, 0), xytext=(0, 4), textcoords="offset points",
                          ha="center", color="white")  # fmt: skip
        if others:
            axes.axhline(timing.macs_ratio(model), color=f"C{place}", linestyle="--",
                         label=f"{model}: MACs ratio")  # fmt: skip
    if others:
        axes.axhline(1, color="black", linewidth=0.8)
    axes.set_xticks(range(len(settings)), settings)
    axes.set_ylabel(f"speed-up over {timing.first}" if others else "seconds per run")
    axes.set_title(timing.title)
    figure.legend(loc="outside lower center", ncols=2)
    write_plot(figure, file)


def _new_chart(file: Path, width: float, height: float) -> tuple[Figure, Axes]:
    """Return an empty chart for ``file``, of a size in inches."""
    check_plot(file)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _label_layers(axes: Axes, names: list[str]) -> None:
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=6)
