"""What replacing or pruning each layer alone does to the output, as a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from ghostify.planning import cost
from ghostify.report.charts import Bar
from ghostify.report.document import Column, Document, Table, numeric, si
from ghostify.types import ConvSite, GhostSpec, Sensitivity

_MAX_COLUMNS = 6

WIDTH_SHARES = (Fraction(3, 4), Fraction(1, 2), Fraction(1, 4))
"""Shares of the output channels that are left, for which sensitivities are shown."""


def list_sensitivity(
    sensitivity: Sensitivity, sites: Sequence[ConvSite] = (), *, model: str = ""
) -> Document:
    """Return a row for each layer: its MACs, and its sensitivity to Ghost modules and pruning.

    The table shows a few Ghost modules, the records show all. Without ``sites``, MACs are left
    out.
    """
    shares = WIDTH_SHARES if sensitivity.widths else ()
    ghosts = _columns(sensitivity.candidates, _MAX_COLUMNS - len(shares))
    by_name = {site.name: site for site in sites}
    measured = [n for n in by_name or sensitivity.names if n in sensitivity.names]
    rows = []
    for name in measured:
        by_ghost = sensitivity.layers.get(name, {})
        by_share = pruning_sensitivity(sensitivity, name)
        values = [*map(by_ghost.get, ghosts), *map(by_share.get, shares)]
        cells = ("-" if value is None else f"{value:.2g}" for value in values)
        macs = [si(cost.macs(by_name[name]))] if by_name else []
        rows.append((name, *macs, *cells))
    headings = [f"{ghost.ratio:.3g}, {ghost.dw_size}" for ghost in ghosts] + [*map(str, shares)]
    by = "s, d, and by the share of channels left" if shares else "s, d"
    title = f"Layers: {len(rows)}; sensitivity by {by}"
    how = "Measured on data" if sensitivity.measured else "Estimated from the weights, without data"
    columns = (Column("layer"), *numeric(*(["MACs"] if by_name else []), *headings))
    return Document(
        title=f"{f'{model}: s' if model else 'S'}ensitivity of each layer, {sensitivity.unit}",
        tables=(Table(title, columns, tuple(rows)),),
        notes=(f"{how}, with only that layer changed. 0: no change of the output.",),
        records=tuple(r for n in measured for r in _records(sensitivity, n, by_name.get(n))),
        data=sensitivity.to_dict(),
    )


def sensitivity_bars(sensitivity: Sensitivity) -> Iterator[tuple[str, list[Bar]]]:
    """Yield captions, and a bar for each layer: by one Ghost module, and by half the channels."""
    for ghost in _columns(sensitivity.candidates, 1):
        found = {name: layer.get(ghost) for name, layer in sensitivity.layers.items()}
        yield f"Sensitivity of each layer to {ghost}", _bars(found)
    if sensitivity.widths:
        half = WIDTH_SHARES[1]
        found = {n: pruning_sensitivity(sensitivity, n).get(half) for n in sensitivity.names}
        yield "Sensitivity of each layer to half of its channels", _bars(found)


def _bars(found: Mapping[str, float | None]) -> list[Bar]:
    bars = []
    for name, value in found.items():
        shown = "not measured" if value is None else f"{value:.2g}"
        bars.append(Bar((("ghost", value or 0.0),), f"{name}\n{shown}"))
    return bars


def _columns(candidates: Sequence[GhostSpec], number: int) -> list[GhostSpec]:
    """Return so many of the candidates in order, those with a whole ratio first."""
    whole = sorted(candidates, key=lambda ghost: ghost.ratio % 1 != 0)[:number]
    return [ghost for ghost in candidates if ghost in whole]


def pruning_sensitivity(sensitivity: Sensitivity, name: str) -> dict[Fraction, float]:
    """Return the loss increase by share of the output channels that are left, if it is known."""
    found = sensitivity.widths.get(name)
    if found is None:
        return {}
    return {share: found.of(_width(share, len(found.order))) for share in WIDTH_SHARES}


def _width(share: Fraction, channels: int) -> int:
    return max(round(share * channels), 1)


def _records(
    sensitivity: Sensitivity, name: str, site: ConvSite | None
) -> Iterator[dict[str, Any]]:
    found: list[tuple[GhostSpec | None, int | None, float]] = []
    found += [(ghost, None, value) for ghost, value in sensitivity.layers.get(name, {}).items()]
    for share, value in pruning_sensitivity(sensitivity, name).items():
        found.append((None, _width(share, len(sensitivity.widths[name].order)), value))
    for ghost, width, value in found:
        record = {
            "layer": name,
            "ratio": ghost and ghost.ratio,
            "dw_size": ghost and ghost.dw_size,
            "width": width or (site and site.geometry.out_channels),
            "sensitivity": value,
        }
        if site is not None:
            changed = site.narrowed(outputs=width)
            record |= {"macs_before": cost.macs(site), "macs_after": cost.macs(changed, ghost)}
        yield record
