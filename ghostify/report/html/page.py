"""The page as a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ghostify.io.atomic import check_parent, write_text
from ghostify.report.charts import heaviest_half, layer_bars, stages
from ghostify.report.document import si
from ghostify.report.html import sections
from ghostify.report.html.findings import Findings
from ghostify.report.html.matplotlib_charts import draw
from ghostify.report.plots import check_plot
from ghostify.report.svg import bars_svg, meter_svg, plot_svg
from ghostify.types import GhostifyError

if TYPE_CHECKING:
    from jinja2 import Environment

_HERE = Path(__file__).parent


def write_report(
    folder: str | Path, out: str | Path | None = None, *, plots: str | Path | None = None
) -> Path:
    """Write a page about an artifact, from its recipe and from what has been measured so far.

    The page is one HTML file that needs nothing else and asks for nothing else. The weights are
    not read, so a recipe and its ``measurements`` without them are enough.

    Args:
        folder: an artifact, which `save` or the command line has made.
        out: the file to write. Default: ``report.html`` in the folder.
        plots: a folder to draw the same charts to, as PNG and SVG by Matplotlib; made if need be.

    Returns:
        The file.

    Raises:
        GhostifyError: if the artifact is damaged, or Jinja2, or for plots Matplotlib, is missing.
        OSError: if a file cannot be read or written.
    """
    check_page(plots=plots is not None)
    findings = Findings.of(folder)
    out = Path(folder) / "report.html" if out is None else Path(out)
    check_parent(out)
    write_text(out, rendered(_environment(), findings))
    if plots is not None:
        draw(findings, Path(plots))
    return out


def check_page(*, plots: bool = False) -> None:
    """See that a page can be made, before the work.

    Raises:
        GhostifyError: if Jinja2 is missing, or Matplotlib where it is to draw ``plots``.
    """
    _environment()
    if plots:
        check_plot(Path("plot.svg"))


def rendered(environment: Environment, findings: Findings) -> str:
    """The page's HTML."""
    from markupsafe import Markup

    bars = {cost: layer_bars(findings.report.sites, cost) for cost in ("macs", "params")}
    names = {"macs": "MACs", "params": "Parameters"}
    plot = sections.plans(findings)
    return environment.get_template("page.html").render(
        findings=findings,
        report=findings.report,
        sections=sections,
        si=si,
        charts=[
            (names[cost], max((bar.before for bar in found), default=0),
             heaviest_half(found), Markup(bars_svg(found, f"{names[cost]} of each layer")))
            for cost, found in bars.items()
        ],
        stages=stages(bar.name for bar in bars["macs"]),
        plans=plot,
        plot=lambda plot: Markup(plot_svg(plot)),
        meter=lambda *numbers: Markup(meter_svg(*numbers)),
    )  # fmt: skip


def _environment() -> Environment:
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ImportError as error:
        raise GhostifyError("a page needs Jinja2: pip install 'ghostify[report]'") from error
    return Environment(
        autoescape=True,
        loader=FileSystemLoader(_HERE / "template"),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
