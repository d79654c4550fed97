"""The report as an HTML page."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from ghostify.io.atomic import check_parent, check_writable, inside, write_text
from ghostify.report.changes import cost_change, latency_change
from ghostify.report.charts import bar_legend, heaviest_half, stages, summarize_bars
from ghostify.report.document import si
from ghostify.report.estimate import estimated_increase
from ghostify.report.html.card import write_card
from ghostify.report.html.charts import page_plots, write_plots
from ghostify.report.html.glossary import glossary
from ghostify.report.html.headline import accuracy_line, headline
from ghostify.report.html.next_steps import next_steps
from ghostify.report.html.summary import ArtifactSummary
from ghostify.report.html.totals import class_rows, milliseconds, runtime_and_version, totals
from ghostify.report.layer_bars import layer_bars
from ghostify.report.plots import check_plot
from ghostify.report.report import Report
from ghostify.report.site_row import SiteRow
from ghostify.report.svg import bars_svg, meter_svg, plot_svg
from ghostify.report.timing import Timing
from ghostify.types import GhostifyError, Sensitivity
from ghostify.types.errors import install

if TYPE_CHECKING:
    from jinja2 import Environment

_TEMPLATES = Path(__file__).parent / "template"


def write_report(
    artifact: str | PathLike[str],
    out: str | PathLike[str] | None = None,
    plots: str | PathLike[str] | None = None,
    *,
    title: str | None = None,
    card: str | PathLike[str] | None = None,
) -> Path:
    """Write an HTML page about an artifact and everything that was measured of it.

    The page is a single file that loads nothing else. The weights are not read: a recipe and its
    ``measurements`` suffice.

    Args:
        artifact: folder of an artifact.
        out: file to write. Default: ``report.html`` in the folder.
        plots: folder for the charts as PNG and SVG, created if missing. Default: none.
        title: title of the page. Default: the name of the model.
        card: file for a picture of the summary, 1200x630 as for link previews: .png, .svg or
            another format of Matplotlib. Default: none.

    Returns:
        The path of the page.

    Raises:
        GhostifyError: if the artifact is damaged, ``out`` is no .html, or Jinja2, or Matplotlib for
            ``plots`` and ``card``, is missing.
        OSError: if a file cannot be read or written.
    """
    summary = ArtifactSummary(artifact)
    out = inside(summary.folder, "report.html") if out is None else Path(out)
    check_page(out, plots=plots, card=card)
    write_text(out, _rendered(summary, title))
    if plots is not None:
        write_plots(summary, Path(plots))
    if card is not None:
        write_card(summary, Path(card), title=title)
    return out


def check_page(
    out: str | PathLike[str] | None = None,
    *,
    plots: str | PathLike[str] | None = None,
    card: str | PathLike[str] | None = None,
) -> None:
    """Raise an error if the files cannot be written, or Jinja2 or Matplotlib is missing."""
    if out is not None:
        if Path(out).suffix != ".html":
            raise GhostifyError(f"`out` (={str(out)!r}) must end in .html")
        check_parent(Path(out))
    _environment()
    if plots is not None:
        check_plot(Path("plot.svg"))
        check_writable(Path(plots) / "macs.svg")
    if card is not None:
        check_plot(Path(card))
        check_parent(Path(card))


def _rendered(summary: ArtifactSummary, title: str | None) -> str:
    from markupsafe import Markup

    report, rows, parts = summary.report, list(totals(summary)), headline(summary)
    return _environment().get_template("page.html").render(
        summary=summary,
        report=report,
        title=title,
        headline=parts,
        line=", ".join(part.text for part in parts),
        accuracy_line=accuracy_line(summary),
        changed_layers=_changed_layers(report),
        totals=rows,
        bar_end=max([1.0, *(total.share for total in rows if total.share)]),
        charts={
            "MACs": layer_bars(report.sites, "MACs"),
            "Parameters": layer_bars(report.sites, "parameters"),
        },
        bar_legend=bar_legend,
        summarize_bars=summarize_bars,
        heaviest_half=heaviest_half,
        stages=stages(row.site.name for row in report.sites),
        plots=page_plots(summary),
        class_rows=class_rows,
        milliseconds=milliseconds,
        runtime_and_version=runtime_and_version,
        latency_change=latency_change,
        macs_change=_macs_change,
        next_steps=next_steps(summary),
        glossary=glossary(summary),
        si=si,
        row_class=_row_class,
        row_sensitivity=lambda row: _row_sensitivity(summary.sensitivity, row),
        bars_svg=lambda *chart: Markup(bars_svg(*chart)),
        plot_svg=lambda plot: Markup(plot_svg(plot)),
        meter_svg=lambda *numbers, **base: Markup(meter_svg(*numbers, **base)),
    )  # fmt: skip


def _changed_layers(report: Report) -> str:
    """Say how many convolutions were changed, and how."""
    ghosts, pruned = len(report.replaced), len(report.pruned)
    kinds = {"are Ghost modules": ghosts, "have fewer output channels": pruned}
    parts = [f"{number} {what}" for what, number in kinds.items() if number]
    if not parts:
        return f"None of {len(report.sites)} convolutions was changed"
    return ", ".join(parts).replace(" ", f" of {len(report.sites)} convolutions ", 1)


def _macs_change(timing: Timing) -> str:
    """Return how the MACs of a timed pair changed."""
    macs = list(timing.macs.values())
    return cost_change(macs[0], macs[-1]).text


def _row_class(row: SiteRow) -> str:
    """Return what the page can filter a row by."""
    classes = {"ghost": row.ghost is not None, "pruned": row.pruned, "kept": not row.changed}
    return " ".join(name for name, applies in classes.items() if applies)


def _row_sensitivity(sensitivity: Sensitivity | None, row: SiteRow) -> float | None:
    if sensitivity is None or not (row.ghost or row.pruned):
        return None
    width = row.remaining.out_channels if row.pruned else None
    return estimated_increase(sensitivity, row.site, row.ghost, width)


def _environment() -> Environment:
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ImportError as error:
        raise GhostifyError(f"a page needs Jinja2: {install('report')}") from error
    return Environment(
        autoescape=True,
        loader=FileSystemLoader(_TEMPLATES),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
