"""Table of the sensitivity of each layer."""

from __future__ import annotations

from collections.abc import Sequence

from ghostify.planning import cost
from ghostify.report.document import Column, Document, Table, si
from ghostify.types import ConvSite, Sensitivity

_MAX_COLUMNS = 5


def list_sensitivity(
    sensitivity: Sensitivity, sites: Sequence[ConvSite], *, model: str
) -> Document:
    """Return a row for each layer: its MACs, and its sensitivity to each Ghost module.

    The table shows the first five Ghost modules, the records show all.
    """
    layers = [(site, sensitivity.layers.get(site.name)) for site in sites]
    measured = [(site, by_ghost) for site, by_ghost in layers if by_ghost is not None]
    shown = sensitivity.candidates[:_MAX_COLUMNS]
    headings = ["MACs", *(f"{ghost.ratio:.3g}, {ghost.dw_size}" for ghost in shown)]
    rows = tuple(
        (site.name, si(cost.macs(site)), *(_digits(by_ghost.get(ghost)) for ghost in shown))
        for site, by_ghost in measured
    )
    records = tuple(
        {
            "layer": site.name,
            "ratio": ghost.ratio,
            "dw_size": ghost.dw_size,
            "sensitivity": value,
            "macs_before": cost.macs(site),
            "macs_after": cost.macs(site, ghost),
        }
        for site, by_ghost in measured
        for ghost, value in by_ghost.items()
    )
    columns = (Column("layer"), *(Column(heading, numeric=True) for heading in headings))
    how = "Measured on data" if sensitivity.measured else "Estimated from the weights, without data"
    return Document(
        title=f"{model}: sensitivity of each layer, {sensitivity.unit}",
        tables=(Table(f"Layers: {len(rows)}; sensitivity by s, d", columns, rows),),
        notes=(f"{how}, with only that layer replaced. 0: no change of the output.",),
        records=records,
        data=sensitivity.to_dict(),
    )


def _digits(value: float | None) -> str:
    return "-" if value is None else f"{value:.2g}"
