"""What each layer's replacement would do and save, as a table and as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ghostify.planning.cost import conv_macs, ghost_macs
from ghostify.report.document import Column, Document, Table, si
from ghostify.report.plots import check_plot, write_plot
from ghostify.types import ConvSite, GhostSpec, Sensitivity


def list_sensitivity(
    sensitivity: Sensitivity, sites: Sequence[ConvSite], *, model: str
) -> Document:
    """One row a site: its MACs, and the damage of each candidate; records have the saving too."""
    measured = [site for site in sites if site.name in sensitivity.layers]
    columns = [Column("layer"), Column("MACs", numeric=True)]
    columns += [Column(f"{g.ratio:.3g}, {g.dw_size}", numeric=True) for g in _shown(sensitivity)]
    rows = []
    records = []
    for site in measured:
        damages = sensitivity.layers[site.name]
        shown = [_digits(damages.get(ghost)) for ghost in _shown(sensitivity)]
        rows.append((site.name, si(conv_macs(site)), *shown))
        for ghost, damage in damages.items():
            records.append(
                {
                    "layer": site.name,
                    "ratio": ghost.ratio,
                    "dw_size": ghost.dw_size,
                    "damage": damage,
                    "macs_before": conv_macs(site),
                    "macs_after": ghost_macs(site, ghost),
                }
            )
    how = "measured on data" if sensitivity.measured else "estimated from the weights, without data"
    return Document(
        title=f"{model}: damage of each replacement alone, {sensitivity.unit}",
        tables=(Table(f"Sites: {len(rows)}; damage by s, d", tuple(columns), tuple(rows)),),
        notes=(f"Damages are {how}; a layer that stays does none.",),
        records=tuple(records),
        data=sensitivity.to_dict(),
    )


def plot_sensitivity(
    sensitivity: Sensitivity, sites: Sequence[ConvSite], file: Path, *, title: str
) -> None:
    """A curve for each candidate over the layers, in the order of execution.

    Raises:
        GhostifyError: as `check_plot` does.
        OSError: if the file cannot be written.
    """
    check_plot(file)
    from matplotlib.figure import Figure

    names = [site.name for site in sites if site.name in sensitivity.layers]
    figure = Figure(figsize=(max(6.0, 0.22 * len(names)), 5), layout="constrained")
    axes = figure.subplots()
    for ghost in sensitivity.candidates:
        values = [sensitivity.layers[name].get(ghost, float("nan")) for name in names]
        axes.plot(range(len(names)), values, marker=".", label=str(ghost))
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=7)
    if any(damage > 0 for name in names for damage in sensitivity.layers[name].values()):
        axes.set_yscale("log")
    axes.set_ylabel(f"damage, {sensitivity.unit}")
    axes.set_title(title)
    axes.grid(alpha=0.3)
    if names:
        axes.legend()
    write_plot(figure, file)


def _shown(sensitivity: Sensitivity) -> list[GhostSpec]:
    """As many candidates as fit beside the layers."""
    return list(sensitivity.candidates)[:5]


def _digits(damage: float | None) -> str:
    return "-" if damage is None else f"{damage:.2g}"
