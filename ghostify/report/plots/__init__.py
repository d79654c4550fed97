"""Charts drawn by Matplotlib.

Every plot function writes a file, and raises what `check_plot` and `write_plot` raise.
"""

from ghostify.report.plots.figure import check_plot, write_plot

__all__ = ["check_plot", "write_plot"]
