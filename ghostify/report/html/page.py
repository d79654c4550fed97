"""The report as an HTML page."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ghostify.io.atomic import check_parent, write_text
from ghostify.report.charts import heaviest_half, stages
from ghostify.report.document import si
from ghostify.report.html.charts import page_plots, write_plots
from ghostify.report.html.commands import commands, plan_options
from ghostify.report.html.summary import ArtifactSummary
from ghostify.report.html.tables import layer_columns, milliseconds, percent, totals
from ghostify.report.plots import check_plot
from ghostify.report.svg import bars_svg, meter_svg, plot_svg
from ghostify.types import GhostifyError

if TYPE_CHECKING:
    from jinja2 import Environment

_TEMPLATES = Path(__file__).parent / "template"
_MAX_CLASSES = 6


def write_report(
    artifact: str | PathLike[str],
    out: str | PathLike[str] | None = None,
    plots: str | PathLike[str] | None = None,
) -> Path:
    """Write an HTML page about an artifact and everything that was measured of it.

    The page is a single file that loads nothing. The weights are not read: a recipe and its
    ``measurements`` suffice.

    Args:
        artifact: folder of an artifact.
        out: file to write. Default: ``report.html`` in the folder.
        plots: folder for the charts as PNG and SVG, created if missing. Default: none.

    Returns:
        The path of the page.

    Raises:
        GhostifyError: if the artifact is damaged, or Jinja2, or Matplotlib for plots, is missing.
        OSError: if a file cannot be read or written.
    """
    check_page(plots=plots is not None)
    summary = ArtifactSummary.read(artifact)
    out = summary.folder / "report.html" if out is None else Path(out)
    check_parent(out)
    write_text(out, _rendered(summary))
    if plots is not None:
        write_plots(summary, Path(plots))
    return out


def check_page(*, plots: bool = False) -> None:
    """Raise an error if Jinja2 is missing, or Matplotlib for ``plots``."""
    _environment()
    if plots:
        check_plot(Path("plot.svg"))


def _rendered(summary: ArtifactSummary) -> str:
    from markupsafe import Markup

    bars = {unit: summary.report.bars(unit) for unit in ("MACs", "parameters")}
    return _environment().get_template("page.html").render(
        summary=summary,
        report=summary.report,
        plan_options=plan_options(summary),
        totals=totals(summary),
        charts=[
            (name, max((bar.before for bar in found), default=0),
             heaviest_half(found), Markup(bars_svg(found, f"{name} of each layer")))
            for name, found in zip(("MACs", "Parameters"), bars.values(), strict=True)
        ],
        stages=stages(row.site.name for row in summary.report.sites),
        columns=layer_columns(summary),
        plots=page_plots(summary),
        commands=commands(summary),
        class_rows=_class_rows,
        milliseconds=milliseconds,
        si=si,
        plot_svg=lambda plot: Markup(plot_svg(plot)),
        meter_svg=lambda *numbers: Markup(meter_svg(*numbers)),
    )  # fmt: skip


def _class_rows(images: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return the most likely classes of an image, with both networks' probabilities."""
    converted = dict(map(tuple, images["classes"]))
    original = dict(map(tuple, images["original_classes"] or ()))
    shown = list(dict.fromkeys([*original, *converted]))[:_MAX_CLASSES]
    return [(str(c), percent(original.get(c)), percent(converted.get(c))) for c in shown]


def _environment() -> Environment:
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ImportError as error:
        raise GhostifyError("a page needs Jinja2: pip install 'ghostify[report]'") from error
    return Environment(
        autoescape=True,
        loader=FileSystemLoader(_TEMPLATES),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
