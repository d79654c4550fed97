"""Tables of the redundancy of feature maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ghostify.report.document import Column, Document, Table
from ghostify.types import GhostSpec, LayerRedundancy
from ghostify.types.redundancy import GHOST_SHARE
from ghostify.types.serialization import encode

_DW_SIZE = GhostSpec().dw_size


def list_redundancy(layers: Sequence[LayerRedundancy], *, model: str) -> Document:
    """Return a row for each layer; of a single layer also its pairs, as in the paper's Table 2."""
    sizes = list(dict.fromkeys(size for layer in layers for size in layer.explained))
    tables = [_layers(layers, sizes)]
    notes = [
        "d: mean share of a map's variance predicted from one other by a d x d kernel.",
        f"ghosts: maps with a share above {GHOST_SHARE:.0%} at d = {_DW_SIZE}.",
    ]
    if any(layer.constant for layer in layers):
        notes.append("Maps that are constant on the images are left out.")
    if any(len(layer.explained) < len(sizes) for layer in layers) or not sizes:
        notes.append("-: too few positions to estimate; use more images.")
    if len(layers) == 1:
        tables.append(_pairs(layers[0], sizes))
        notes.append("error: unexplained share of the target's variance.")
    return Document(
        title=f"{model}: redundancy of its feature maps",
        tables=tuple(tables),
        notes=tuple(notes),
        records=tuple(_record(layer, sizes) for layer in layers),
        data={"layers": [encode(layer) for layer in layers]},
    )


def _layers(layers: Sequence[LayerRedundancy], sizes: Sequence[int]) -> Table:
    headings = ["maps", "size", *(f"d={size}" for size in sizes), "ghosts"]
    rows = tuple(
        (
            layer.layer,
            str(layer.maps - layer.constant),
            "x".join(map(str, layer.size)),
            *(f"{layer.explained[s]:.0%}" if s in layer.explained else "-" for s in sizes),
            str(layer.ghosts.get(_DW_SIZE, "-")),
        )
        for layer in layers
    )
    columns = (Column("layer"), *(Column(heading, numeric=True) for heading in headings))
    return Table(f"Layers: {len(layers)}; explained by d", columns, rows)


def _pairs(layer: LayerRedundancy, sizes: Sequence[int]) -> Table:
    columns = (
        Column("pair: source → target"),
        *(Column(f"error, d={size}", numeric=True) for size in sizes),
    )
    rows = tuple(
        (f"{pair.source} → {pair.target}", *(f"{pair.errors[size]:.4f}" for size in sizes))
        for pair in layer.pairs
    )
    return Table("Most similar pairs", columns, rows)


def _record(layer: LayerRedundancy, sizes: Sequence[int]) -> dict[str, Any]:
    return {
        "layer": layer.layer,
        "maps": layer.maps,
        "constant": layer.constant,
        "height": layer.size[0],
        "width": layer.size[1],
        "positions": layer.positions,
        **{f"explained_d{size}": layer.explained.get(size) for size in sizes},
        **{f"ghosts_d{size}": layer.ghosts.get(size) for size in sizes},
    }
