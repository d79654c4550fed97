"""Tables of convolutions and of the redundancy of their feature maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from ghostify.planning import cost
from ghostify.report.document import Column, Document, Table, numeric, si
from ghostify.report.reasons import list_reasons
from ghostify.types import ConvSite, GhostSpec, LayerRedundancy
from ghostify.types.model_measurements import GHOST_SHARE
from ghostify.types.serialization import encode

_DW_SIZE = GhostSpec().dw_size


def list_sites(sites: Sequence[ConvSite], *, model: str = "", input: str = "") -> Document:
    """Return a row for each convolution: geometry, output size, costs, and what can become of it.

    A Ghost module can take its place (replaceable), and output channels can be dropped (prunable),
    or there is a reason why not.

    Args:
        sites: what `analyze` returned.
        model: name of the model, or empty.
        input: shape of the input, such as ``1x3x224x224``, or empty.
    """
    rows, records = [], []
    for site in sites:
        params, macs = cost.params(site), cost.macs(site)
        geometry, size = str(site.geometry), site.output_map
        texts = (site.name, geometry, size, si(params), si(macs))
        rows.append((*texts, site.ineligible or "yes", "no" if site.unprunable else "yes"))
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
                "prunable": site.unprunable is None,
                "unprunable": site.unprunable or "",
            }
        )
    replaceable = sum(site.ineligible is None for site in sites)
    total = sum(map(cost.macs, sites))
    unprunable = list_reasons("Not prunable", ((site.unprunable, site) for site in sites), total)
    prunable = sum(site.unprunable is None for site in sites)
    title = f"Convolutions: {len(sites)}, of which replaceable: {replaceable}, prunable: {prunable}"
    columns = (
        Column("layer"), Column("geometry"), Column("map", spare=True),
        Column("params", numeric=True, spare=True), Column("MACs", numeric=True),
        Column("replaceable"), Column("prunable"),
    )  # fmt: skip
    return Document(
        title=", ".join(filter(None, (model, input and f"input {input}"))),
        tables=tuple(filter(None, (Table(title, columns, tuple(rows)), unprunable))),
        notes=(
            "MACs: multiply-accumulates; papers call them FLOPs.",
            "replaceable: by a Ghost module. prunable: output channels can be dropped.",
        ),
        records=tuple(records),
        data={"model": model, "input": input, "convolutions": [asdict(site) for site in sites]},
    )


def list_redundancy(layers: Sequence[LayerRedundancy], *, model: str) -> Document:
    """Return a row for each layer; of a single layer also its pairs, as in the paper's Table 2."""
    sizes = list(dict.fromkeys(size for layer in layers for size in layer.explained))
    notes = [
        "d: mean share of a map's variance predicted from one other by a d x d kernel.",
        f"ghosts: maps with a share above {GHOST_SHARE:.0%} at d = {_DW_SIZE}.",
    ]
    if any(layer.constant for layer in layers):
        notes.append("Maps that are constant on the images are left out.")
    if any(len(layer.explained) < len(sizes) for layer in layers) or not sizes:
        notes.append("-: too few positions to estimate; use more images.")
    rows, records = [], []
    for layer in layers:
        shares = (f"{layer.explained[s]:.0%}" if s in layer.explained else "-" for s in sizes)
        size, maps = "x".join(map(str, layer.size)), str(layer.maps - layer.constant)
        rows.append((layer.layer, maps, size, *shares, str(layer.ghosts.get(_DW_SIZE, "-"))))
        records.append(
            {
                "layer": layer.layer,
                "maps": layer.maps,
                "constant": layer.constant,
                "height": layer.size[0],
                "width": layer.size[1],
                "positions": layer.positions,
                **{f"explained_d{size}": layer.explained.get(size) for size in sizes},
                **{f"ghosts_d{size}": layer.ghosts.get(size) for size in sizes},
            }
        )
    headings = numeric("maps", "size", *(f"d={size}" for size in sizes), "ghosts")
    title = f"Layers: {len(layers)}; explained by d"
    tables = [Table(title, (Column("layer"), *headings), tuple(rows))]
    if len(layers) == 1:
        tables.append(_pairs(layers[0], sizes))
        notes.append("error: unexplained share of the target's variance.")
    return Document(
        title=f"{model}: redundancy of its feature maps",
        tables=tuple(tables),
        notes=tuple(notes),
        records=tuple(records),
        data={"layers": [encode(layer) for layer in layers]},
    )


def _pairs(layer: LayerRedundancy, sizes: Sequence[int]) -> Table:
    errors = numeric(*(f"error, d={size}" for size in sizes))
    rows = (
        (f"{pair.source} → {pair.target}", *(f"{pair.errors[size]:.4f}" for size in sizes))
        for pair in layer.pairs
    )
    return Table("Most similar pairs", (Column("pair: source → target"), *errors), tuple(rows))
