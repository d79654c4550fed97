"""What replacing or pruning each layer alone does to the output, as a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

from ghostify.planning import cost
from ghostify.report.document import Column, Document, Table, numeric, si
from ghostify.types import ConvSite, GhostSpec, Sensitivity

_MAX_COLUMNS = 6

WIDTH_SHARES = (Fraction(3, 4), Fraction(1, 2), Fraction(1, 4))
"""Shares of the output channels that are left, for which sensitivities are shown."""


def list_sensitivity(
    sensitivity: Sensitivity, sites: Sequence[ConvSite], *, model: str
) -> Document:
    """Return a row for each layer: its MACs, and its sensitivity to Ghost modules and pruning.

    The table shows the first Ghost modules, the records show all.
    """
    shares = WIDTH_SHARES if sensitivity.widths else ()
    ghosts = sensitivity.candidates[: _MAX_COLUMNS - len(shares)]
    measured = [s for s in sites if s.name in {*sensitivity.layers, *sensitivity.widths}]
    rows = []
    for site in measured:
        by_ghost = sensitivity.layers.get(site.name, {})
        by_share = pruning_sensitivity(sensitivity, site.name)
        values = [*map(by_ghost.get, ghosts), *map(by_share.get, shares)]
        cells = ("-" if value is None else f"{value:.2g}" for value in values)
        rows.append((site.name, si(cost.macs(site)), *cells))
    headings = [f"{ghost.ratio:.3g}, {ghost.dw_size}" for ghost in ghosts] + [*map(str, shares)]
    by = "s, d, and by the share of channels left" if shares else "s, d"
    title = f"Layers: {len(rows)}; sensitivity by {by}"
    how = "Measured on data" if sensitivity.measured else "Estimated from the weights, without data"
    columns = (Column("layer"), *numeric("MACs", *headings))
    return Document(
        title=f"{model}: sensitivity of each layer, {sensitivity.unit}",
        tables=(Table(title, columns, tuple(rows)),),
        notes=(f"{how}, with only that layer changed. 0: no change of the output.",),
        records=tuple(record for site in measured for record in _records(sensitivity, site)),
        data=sensitivity.to_dict(),
    )


def pruning_sensitivity(sensitivity: Sensitivity, name: str) -> dict[Fraction, float]:
    """Return the loss increase by share of the output channels that are left, if it is known."""
    found = sensitivity.widths.get(name)
    if found is None:
        return {}
    return {share: found.of(_width(share, len(found.order))) for share in WIDTH_SHARES}


def _width(share: Fraction, channels: int) -> int:
    return max(round(share * channels), 1)


def _records(sensitivity: Sensitivity, site: ConvSite) -> Iterator[dict[str, Any]]:
    for ghost, value in sensitivity.layers.get(site.name, {}).items():
        yield _record(site, site, value, ghost)
    for share, value in pruning_sensitivity(sensitivity, site.name).items():
        width = _width(share, site.geometry.out_channels)
        yield _record(site, site.narrowed(outputs=width), value)


def _record(
    site: ConvSite, changed: ConvSite, value: float, ghost: GhostSpec | None = None
) -> dict[str, Any]:
    return {
        "layer": site.name,
        "ratio": ghost and ghost.ratio,
        "dw_size": ghost and ghost.dw_size,
        "width": changed.geometry.out_channels,
        "sensitivity": value,
        "macs_before": cost.macs(site),
        "macs_after": cost.macs(changed, ghost),
    }
