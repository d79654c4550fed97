"""Matplotlib figures as files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ghostify.io.atomic import new_files
from ghostify.types import GhostifyError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def check_plot(file: Path) -> None:
    """Check that a chart can be written to ``file``.

    Raises:
        GhostifyError: if Matplotlib is missing, or does not write this format.
    """
    try:
        from matplotlib.backend_bases import FigureCanvasBase
    except ImportError as error:
        raise GhostifyError("a plot needs Matplotlib: pip install 'ghostify[plot]'") from error
    ending = file.suffix.lower().removeprefix(".")
    if ending not in FigureCanvasBase.get_supported_filetypes():
        raise GhostifyError(f"cannot plot to {file}: the ending must be one such as .png or .svg")


def new_chart(file: Path, width: float, height: float) -> tuple[Figure, Axes]:
    """Return an empty chart for ``file``, of a size in inches.

    Raises:
        GhostifyError: as `check_plot`.
    """
    check_plot(file)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def label_layers(axes: Axes, names: list[str]) -> None:
    """Put the names of layers under the x axis."""
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=6)


def add_legend(axes: Axes) -> None:
    """Add a legend, unless there is nothing to name."""
    if axes.get_legend_handles_labels()[1]:
        axes.legend(frameon=False)


def write_plot(figure: Figure, file: Path) -> None:
    """Write the figure atomically.

    Raises:
        OSError: if the file cannot be written.
    """
    with new_files(file) as new:
        figure.savefig(new)
