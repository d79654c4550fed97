"""Sortable table of all layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ghostify.report.document import si
from ghostify.report.html.summary import ArtifactSummary
from ghostify.report.site_row import SiteRow


class Cell(NamedTuple):
    """Text of a cell, and the value that it is sorted by."""

    text: str
    key: float | str


Column = tuple[str, bool, Callable[[SiteRow], Cell]]
"""Heading, whether it is numeric, and the cell of each layer."""


def layer_columns(summary: ArtifactSummary) -> list[Column]:
    """Return the columns that there are values for."""
    places = {row.site.name: place for place, row in enumerate(summary.report.sites, 1)}
    columns: list[Column] = [
        ("#", True, lambda row: _plain(places[row.site.name])),
        ("layer", False, lambda row: _plain(row.site.name)),
        ("geometry", False, lambda row: Cell(str(row.site.geometry), row.site.geometry.weights)),
        ("map", True, _map),
        ("s", True, lambda row: _number(row.ghost.ratio if row.ghost else None, ".4g")),
        ("d", True, lambda row: _number(row.ghost.dw_size if row.ghost else None, "d")),
        ("MACs", True, lambda row: Cell(si(row.macs_before), row.macs_before)),
        ("after", True, lambda row: _after(row, row.macs_after)),
        ("parameters", True, lambda row: Cell(si(row.params_before), row.params_before)),
        ("after", True, lambda row: _after(row, row.params_after)),
    ]
    fidelity, sensitivity = summary.report.fidelity, summary.sensitivity
    if fidelity is not None and (residuals := fidelity.residuals):
        columns.append(("error", True, lambda row: _number(residuals.get(row.site.name), ".2%")))
    if sensitivity is not None:
        layers = sensitivity.layers

        def measured(row: SiteRow) -> Cell:
            by_ghost = layers.get(row.site.name, {})
            return _number(by_ghost.get(row.ghost) if row.ghost else None, ".2g")

        columns.append(("sensitivity", True, measured))
    return [*columns, ("kept because", False, lambda row: _plain(row.reason))]


def _plain(value: int | str) -> Cell:
    return Cell(str(value), value)


def _number(value: float | None, form: str) -> Cell:
    return Cell("", -1) if value is None else Cell(format(value, form), value)


def _map(row: SiteRow) -> Cell:
    area = row.site.output[0] * row.site.output[-1] if row.site.output else 0
    return Cell(row.site.output_map, area)


def _after(row: SiteRow, cost: int) -> Cell:
    return Cell(si(cost) if row.ghost else "", cost)
