"""Pictures on disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ghostify.io.atomic import new_files
from ghostify.types import GhostifyError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def check_plot(file: Path) -> None:
    """See that a picture can be drawn to ``file``, before the work.

    Raises:
        GhostifyError: if Matplotlib is missing, or the ending is none that it writes.
    """
    try:
        from matplotlib.backend_bases import FigureCanvasBase
    except ImportError as error:
        raise GhostifyError("a plot needs Matplotlib: pip install 'ghostify[plot]'") from error
    ending = file.suffix.lower().removeprefix(".")
    if ending not in FigureCanvasBase.get_supported_filetypes():
        raise GhostifyError(f"cannot plot to {file}: the ending must be one such as .png or .svg")


def write_plot(figure: Figure, file: Path) -> None:
    """Write the whole picture, or none.

    Raises:
        OSError: if it cannot be written.
    """
    with new_files(file) as beside:
        figure.savefig(beside)
