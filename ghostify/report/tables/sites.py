"""The convolutions of a model, and a plan for them, as documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from ghostify.planning.cost import conv_macs, conv_params
from ghostify.report.document import Column, Document, Table, si
from ghostify.types import ConvSite


def list_sites(sites: Sequence[ConvSite], *, model: str, input: str) -> Document:
    """Every convolution with its geometry, map and costs, and whether it can be replaced."""
    rows = tuple(
        (
            site.name,
            str(site.geometry),
            site.output_map,
            si(conv_params(site.geometry)),
            si(conv_macs(site)),
            site.ineligible or "yes",
        )
        for site in sites
    )
    records = tuple(
        {
            "layer": site.name,
            "type": site.type,
            "geometry": str(site.geometry),
            "output": site.output_map,
            "calls": site.calls,
            "seen": site.seen or "",
            "params": conv_params(site.geometry),
            "macs": conv_macs(site),
            "replaceable": site.ineligible is None,
            "ineligible": site.ineligible or "",
        }
        for site in sites
    )
    replaceable = sum(site.ineligible is None for site in sites)
    columns = (
        Column("layer"),
        Column("geometry"),
        Column("map"),
        Column("params", numeric=True),
        Column("MACs", numeric=True),
        Column("replaceable"),
    )
    return Document(
        title=f"{model}, input {input}",
        tables=(
            Table(
                f"Convolutions: {len(sites)}, of which replaceable: {replaceable}", columns, rows
            ),
        ),
        notes=("MACs are multiply-accumulates; papers call them FLOPs.",),
        records=records,
        data={"model": model, "input": input, "convolutions": [asdict(site) for site in sites]},
    )
