"""The compression report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from math import nan
from typing import Any

from ghostify.planning.cost import conv_macs, conv_params, eq4_speedup
from ghostify.report.charts import layer_bars
from ghostify.report.document import Column, Document, Table, si, summarize_names
from ghostify.report.formats import to_csv, to_json, to_markdown, to_notebook, to_text
from ghostify.report.site_rows import KeptSite, ReplacedSite
from ghostify.report.svg import bars_svg
from ghostify.types import ConvSite, Count, Fidelity, GhostSpec

HELD_OUT = "images held out, before training"


@dataclass(frozen=True, slots=True)
class Report:
    """What a conversion saved. ``print(report)`` fits 80 columns; notebooks show it as tables.

    Attributes:
        model: the model's name.
        input: shapes of the example, such as ``1x3x224x224``.
        replaced: every Ghost module beside the convolution it stands for.
        kept: every convolution that stayed.
        before, after: costs of the original and of the converted model, by the same counter.
        fidelity: how much of the original was kept, as far as that was measured.
        agreement_on: which images its agreement is of.
        order: the names of all sites as they are executed.
    """

    model: str
    input: str
    replaced: tuple[ReplacedSite, ...]
    kept: tuple[KeptSite, ...]
    before: Count
    after: Count
    fidelity: Fidelity | None = None
    agreement_on: str = HELD_OUT
    order: tuple[str, ...] = ()

    @property
    def sites(self) -> tuple[ReplacedSite | KeptSite, ...]:
        """All convolutions in the order of `order`."""
        rows: dict[str, ReplacedSite | KeptSite] = {r.site.name: r for r in self.replaced}
        rows |= {row.site.name: row for row in self.kept}
        return tuple(rows[name] for name in self.order or rows)

    @property
    def params_ratio(self) -> float:
        """Parameters before / after."""
        return self.before.params / self.after.params

    @property
    def macs_ratio(self) -> float:
        """All MACs that are counted, before / after."""
        return _ratio(self.before.total_macs, self.after.total_macs)

    @property
    def replaced_macs(self) -> tuple[int, int]:
        """MACs of the replaced sites before and after."""
        before = sum(row.macs_before for row in self.replaced)
        return before, sum(row.macs_after for row in self.replaced)

    @property
    def eq4_speedup(self) -> float:
        """Theoretical speed-up of the replaced sites: the MACs if each were r_s times fewer.

        r_s is that of arXiv 1911.11907, Eq. 4, for the site's own s and d.
        """
        ideal = sum(r.macs_before / eq4_speedup(r.site.geometry, r.ghost) for r in self.replaced)
        return self.replaced_macs[0] / ideal if ideal else nan

    def costs(self) -> dict[str, Any]:
        """What the whole network cost before and after, in JSON types."""
        return {
            "model": self.model,
            "input": self.input,
            "before": asdict(self.before),
            "after": asdict(self.after),
        }

    def document(self) -> Document:
        """The report's content in the shape that all formats and the terminal print."""
        return Document(
            title=f"{self.model}, input {self.input}, {_describe(r.ghost for r in self.replaced)}",
            tables=tuple(
                filter(None, [self._replaced(), self._kept(), self._totals(), self._fidelity()])
            ),
            notes=self._notes(),
            records=tuple(self._records()),
            data=self._data(),
        )

    def to_json(self) -> str:
        """Everything, raw numbers."""
        return to_json(self.document())

    def to_csv(self) -> str:
        """One line a convolution, replaced or kept; raw numbers."""
        return to_csv(self.document())

    def to_markdown(self) -> str:
        """Tables for GitHub, notebooks and documentation."""
        return to_markdown(self.document())

    def __str__(self) -> str:
        return to_text(self.document())

    _repr_markdown_ = to_markdown

    def _repr_html_(self) -> str:
        charts = [
            (f"{name} of each layer: before in grey, Ghost modules in colour", cost)
            for name, cost in (("MACs", "macs"), ("Parameters", "params"))
        ]
        return to_notebook(
            self.document(),
            [
                (caption, bars_svg(layer_bars(self.sites, cost), caption))
                for caption, cost in charts
            ],
        )

    def _replaced(self) -> Table:
        mixed = len({row.ghost for row in self.replaced}) > 1
        columns = [Column("layer"), Column("geometry"), Column("map")]
        columns += [Column("s, d")] if mixed else []
        residuals = self._residuals
        words = ["parameters", "MACs", "factor", *(["error"] if residuals else [])]
        columns += [Column(word, numeric=True) for word in words]
        rows = []
        for row in self.replaced:
            spec = [f"{row.ghost.ratio:g}, {row.ghost.dw_size}"] if mixed else []
            rows.append(
                (
                    row.site.name,
                    str(row.site.geometry),
                    row.site.output_map,
                    *spec,
                    f"{si(row.params_before)}→{si(row.params_after)}",
                    f"{si(row.macs_before)}→{si(row.macs_after)}",
                    f"{row.factor:.2f}",
                    *([_share(residuals.get(row.site.name))] if residuals else []),
                )
            )
        return Table(f"Replaced: {len(rows)}", tuple(columns), tuple(rows))

    def _kept(self) -> Table | None:
        if not self.kept:
            return None
        groups: dict[str, list[KeptSite]] = {}
        for kept in self.kept:
            groups.setdefault(kept.reason, []).append(kept)
        rows = []
        for reason, group in groups.items():
            share = _ratio(sum(kept.macs for kept in group), self.before.total_macs)
            names = summarize_names(kept.site.name for kept in group)
            rows.append((reason, names, str(len(group)), f"{share:.1%}"))
        return Table(
            f"Kept: {len(self.kept)}",
            (
                Column("reason", wrap=True),
                Column("layers", wrap=True),
                Column("count", numeric=True),
                Column("of all MACs", numeric=True),
            ),
            tuple(rows),
        )

    def _totals(self) -> Table:
        before, after = self.before, self.after
        everything = f"MACs, all that {before.counter} counts"
        quantities = [
            ("parameters", before.params, after.params, "", ""),
            ("weights", before.weight_bytes, after.weight_bytes, "B", ""),
            ("MACs, replaced layers", *self.replaced_macs, "", f"{self.eq4_speedup:.2f}x"),
            (
                "MACs, convolutions + linear",
                before.conv_and_linear_macs,
                after.conv_and_linear_macs,
                "",
                "",
            ),
            (everything, before.total_macs, after.total_macs, "", ""),
        ]
        rows = tuple(
            (name, si(old, 4) + unit, si(new, 4) + unit, f"{_ratio(old, new):.2f}x", theory)
            for name, old, new, unit, theory in quantities
        )
        headings = ("before", "after", "ratio", "Eq. 4")
        return Table("Totals", (Column(""), *(Column(h, numeric=True) for h in headings)), rows)

    @property
    def _residuals(self) -> Mapping[str, float]:
        return self.fidelity.residuals if self.fidelity else {}

    def _fidelity(self) -> Table | None:
        """What is left of the original's outputs, on images it was not fitted to."""
        if self.fidelity is None or self.fidelity.agreement is None:
            return None
        found = self.fidelity.agreement
        rows = [("outputs, relative error", _share(found.relative_error))]
        if found.top1 is not None and found.kl is not None:
            rows = [
                ("same most likely class (top-1)", f"{found.top1:.1%}"),
                ("KL divergence", f"{found.kl:.3g} nats"),
                *rows,
            ]
        rows = [(self.agreement_on, str(found.images)), *rows]
        columns = (Column(""), Column("", numeric=True))
        return Table("Agreement with the original", columns, tuple(rows))

    def _notes(self) -> tuple[str, ...]:
        notes = [
            f"MACs are multiply-accumulates as {self.before.counter} counts them; papers call them "
            "FLOPs.",
            "Eq. 4 is the GhostNet paper's theoretical speed-up for these s and d.",
        ]
        if self.before.counter == "torch":
            notes.append("fvcore cannot trace this model; torch counts products only.")
        if uncounted := self.before.uncounted | self.after.uncounted:
            listed = ", ".join(name.removeprefix("aten::") for name in sorted(uncounted))
            notes.append(f"Not counted by fvcore: {listed}.")
        return (*notes, *_notes_on(self.fidelity))

    def _records(self) -> Iterable[dict[str, Any]]:
        for row in self.replaced:
            record = _record(row.site, row.ghost, "", row.params_after, row.macs_after)
            yield record | {"error": self._residuals.get(row.site.name)}
        for kept in self.kept:
            params = conv_params(kept.site.geometry)
            yield _record(kept.site, None, kept.reason, params, kept.macs) | {"error": None}

    def _data(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "input": self.input,
            "before": asdict(self.before) | {"total_macs": self.before.total_macs},
            "after": asdict(self.after) | {"total_macs": self.after.total_macs},
            "params_ratio": self.params_ratio,
            "macs_ratio": self.macs_ratio,
            "replaced_macs": list(self.replaced_macs),
            "eq4_speedup": self.eq4_speedup,
            "fidelity": self.fidelity and self.fidelity.to_dict(),
            "layers": list(self._records()),
        }


def _notes_on(fidelity: Fidelity | None) -> tuple[str, ...]:
    if fidelity is None or fidelity.init in ("random", "unknown"):
        return ("Cheap kernels are random: train this network before use.",)
    fitted = f", fitted to {fidelity.images} images" if fidelity.images else ""
    notes = [f"Initialisation: {fidelity.init}{fitted}."]
    if fidelity.residuals:
        of = "maps" if fidelity.images else "filters"
        notes.append(f"error is that of a layer's {of} over their variance, by importance.")
    if fidelity.init == "weights":
        notes.append(
            "Made from the weights alone: --calibration with 64 to 512 images keeps far more."
        )
    return (*notes, *fidelity.notes)


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.2%}" if value < 0.1 else f"{value:.1%}"


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else nan


def _describe(specs: Iterable[GhostSpec]) -> str:
    specs = list(specs)
    ratios = sorted({spec.ratio for spec in specs})
    sizes = sorted({spec.dw_size for spec in specs})
    return f"s={_span(ratios)}, d={_span(sizes)}"


def _span(numbers: list[Any]) -> str:
    return "-".join(f"{number:g}" for number in dict.fromkeys((numbers[0], numbers[-1])))


def _record(
    site: ConvSite, ghost: GhostSpec | None, keep: str, params: int, macs: int
) -> dict[str, Any]:
    return {
        "layer": site.name,
        "geometry": str(site.geometry),
        "output": site.output_map,
        "calls": site.calls,
        "ratio": ghost and ghost.ratio,
        "dw_size": ghost and ghost.dw_size,
        "keep": keep,
        "params_before": conv_params(site.geometry),
        "params_after": params,
        "macs_before": conv_macs(site),
        "macs_after": macs,
    }
