"""Table of the convolutions of a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from ghostify.planning import cost
from ghostify.report.document import Column, Document, Table, si
from ghostify.types import ConvSite

_COLUMNS = (
    Column("layer"),
    Column("geometry"),
    Column("map"),
    Column("params", numeric=True),
    Column("MACs", numeric=True),
    Column("replaceable"),
)


def list_sites(sites: Sequence[ConvSite], *, model: str, input: str) -> Document:
    """Return a row for each convolution: geometry, output size, costs, and if it is replaceable.

    Args:
        sites: what `analyze` returned.
        model: name of the model.
        input: shape of the input, such as ``1x3x224x224``.
    """
    rows, records = [], []
    for site in sites:
        params, macs = cost.params(site), cost.macs(site)
        geometry, size = str(site.geometry), site.output_map
        rows.append((site.name, geometry, size, si(params), si(macs), site.ineligible or "yes"))
        records.append(
            {
                "layer": site.name,
                "type": site.type,
                "geometry": geometry,
                "output": size,
                "calls": site.calls,
                "seen": site.seen or "",
                "params": params,
                "macs": macs,
                "replaceable": site.ineligible is None,
                "ineligible": site.ineligible or "",
            }
        )
    replaceable = sum(site.ineligible is None for site in sites)
    title = f"Convolutions: {len(sites)}, of which replaceable: {replaceable}"
    return Document(
        title=f"{model}, input {input}",
        tables=(Table(title, _COLUMNS, tuple(rows)),),
        notes=("MACs: multiply-accumulates; papers call them FLOPs.",),
        records=tuple(records),
        data={"model": model, "input": input, "convolutions": [asdict(site) for site in sites]},
    )
