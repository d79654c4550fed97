"""Charts drawn by Matplotlib."""

from ghostify.report.plots.figure import check_plot, write_plot

__all__ = ["check_plot", "write_plot"]
