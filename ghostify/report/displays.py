"""How data of the lower rooms prints, and shows in notebooks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ghostify.planning import cost
from ghostify.report.charts import Bar, legend_text, summarize_bars
from ghostify.report.document import Document, si
from ghostify.report.formats import Printable
from ghostify.report.layer_bars import layer_bars, site_bars
from ghostify.report.plan_table import list_plan
from ghostify.report.recovery_plots import loss_plot, score_plot
from ghostify.report.recovery_table import list_recovery
from ghostify.report.sensitivity_table import list_sensitivity, sensitivity_bars
from ghostify.report.site_row import site_rows
from ghostify.report.svg import bars_svg, captioned
from ghostify.report.tables import list_sites
from ghostify.types import ConvSite, Plan, Recovery, Sensitivity, Sites
from ghostify.types.displayed import Displayed

Chart = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Display(Printable):
    """Tables and charts of data that has no methods for them."""

    tables: Document
    drawn: Sequence[Chart]

    def document(self) -> Document:
        """Return title, tables and notes, and the raw numbers."""
        return self.tables

    def charts(self) -> Sequence[Chart]:
        """Return the charts for notebooks: captions and SVGs."""
        return self.drawn


def display(data: Displayed) -> Display:
    """Return the tables and charts of data."""
    return next(make(data) for cls, make in DISPLAYS.items() if isinstance(data, cls))


def _sites(sites: Sites) -> Display:
    total = si(sum(map(cost.macs, sites)), 4)
    caption = f"MACs of each layer, {total} in all. Colored: a Ghost module can replace it."
    return Display(list_sites(sites, model=_network(sites)), [_bars(caption, site_bars(sites))])


def _plan(plan: Plan) -> Display:
    bars = layer_bars(site_rows(plan), "MACs")
    caption = f"MACs of each layer: {summarize_bars(bars)}. {legend_text(bars)}"
    model = _network([decision.site for decision in plan.decisions])
    return Display(list_plan(plan, model=model), [(caption, bars_svg(bars, caption))])


def _sensitivity(sensitivity: Sensitivity) -> Display:
    charts = [_bars(*chart) for chart in sensitivity_bars(sensitivity)]
    return Display(list_sensitivity(sensitivity), charts)


def _recovery(recovery: Recovery) -> Display:
    plots = filter(None, (score_plot(recovery), loss_plot(recovery)))
    return Display(list_recovery(recovery), [captioned(plot) for plot in plots])


DISPLAYS: dict[type[Displayed], Callable[[Any], Display]] = {
    Sites: _sites,
    Plan: _plan,
    Sensitivity: _sensitivity,
    Recovery: _recovery,
}


def _bars(caption: str, bars: Sequence[Bar]) -> Chart:
    return caption, bars_svg(bars, caption)


def _network(sites: Sequence[ConvSite]) -> str:
    """Return the class name of the network that has the sites."""
    return next((site.within[0] for site in sites if site.within), "")
