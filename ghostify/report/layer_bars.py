"""Bars of the cost of each layer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ghostify.planning import cost
from ghostify.report.charts import Bar, LayerBar
from ghostify.report.document import si
from ghostify.report.site_row import SiteRow
from ghostify.types import ConvSite


def layer_bars(rows: Iterable[SiteRow], unit: str) -> list[LayerBar]:
    """Return a bar for each convolution before and after conversion.

    Args:
        rows: the convolutions.
        unit: ``MACs`` or ``parameters``.
    """
    of = cost.macs if unit == "MACs" else cost.params
    bars = []
    for row in rows:
        before, after = of(row.site), of(row.converted, row.ghost)
        lines = [row.site.name, str(row.site.geometry)]
        if row.changed:
            lines += [f"inputs {row.inputs}"] if "→" in row.inputs else []
            lines += [f"outputs {row.outputs}", f"{si(before)} → {si(after)} {unit}"]
        else:
            lines.append(f"{si(before)} {unit}")
        kept = "not replaced" if row.changed else "kept"
        lines.append(str(row.ghost) if row.ghost else f"{kept}: {row.reason}")
        bars.append(
            LayerBar(
                name=row.site.name,
                before=before,
                narrowed=of(row.converted),
                after=after,
                replaced=row.ghost is not None,
                tooltip="\n".join(lines),
            )
        )
    return bars


def site_bars(sites: Sequence[ConvSite]) -> list[Bar]:
    """Return a bar of the MACs of each convolution, by whether it can be replaced."""
    bars = []
    for site in sites:
        macs = cost.macs(site)
        role = "dense" if site.ineligible else "intrinsic"
        can = f"not replaceable: {site.ineligible}" if site.ineligible else "replaceable"
        lines = [site.name, str(site.geometry), f"{si(macs)} MACs", can]
        bars.append(Bar(((role, macs),), "\n".join(lines)))
    return bars
