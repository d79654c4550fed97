"""Costs and fidelity of a conversion."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import nan
from typing import Any

from ghostify.planning import cost
from ghostify.report.charts import LayerBar
from ghostify.report.document import Column, Document, Table, numeric, si, summarize_names
from ghostify.report.formats import Printable
from ghostify.report.svg import bars_svg
from ghostify.types import ConvSite, Count, Fidelity, GhostSpec, Outputs

HELD_OUT = "images held out, before training"


@dataclass(frozen=True, slots=True)
class SiteRow:
    """A convolution, the Ghost module that replaced it, or the reason why it was kept."""

    site: ConvSite
    ghost: GhostSpec | None = None
    reason: str = ""

    @property
    def params(self) -> tuple[int, int]:
        """Parameters before and after conversion."""
        return cost.params(self.site), cost.params(self.site, self.ghost)

    @property
    def macs(self) -> tuple[int, int]:
        """MACs before and after conversion."""
        return cost.macs(self.site), cost.macs(self.site, self.ghost)


@dataclass(frozen=True, slots=True)
class Report(Printable):
    """Costs of a model before and after conversion. ``print(report)`` shows tables.

    Attributes:
        model: name of the model.
        input: shapes of the example, such as ``1x3x224x224``.
        sites: all convolutions, in execution order.
        before, after: costs of the original and of the converted model, by the same counter.
        fidelity: how far the converted model keeps the original's outputs, if known.
        agreement_on: the images on which the agreement of the outputs was measured.
        outputs: what the outputs are, if known.
    """

    model: str
    input: str
    sites: tuple[SiteRow, ...]
    before: Count
    after: Count
    fidelity: Fidelity | None = None
    agreement_on: str = HELD_OUT
    outputs: Outputs | None = None

    @property
    def same(self) -> str:
        """What both networks may agree on, such as the ``same top-1 class``."""
        same = self.outputs[0].same if self.outputs else "images with the same top-1 class"
        return same.removeprefix("images with the ")

    @property
    def replaced(self) -> tuple[SiteRow, ...]:
        """Convolutions that are Ghost modules now."""
        return tuple(row for row in self.sites if row.ghost)

    @property
    def kept(self) -> tuple[SiteRow, ...]:
        """Convolutions that were kept."""
        return tuple(row for row in self.sites if not row.ghost)

    @property
    def params_ratio(self) -> float:
        """Parameters before / after."""
        return self.before.params / self.after.params

    @property
    def macs_ratio(self) -> float:
        """Counted MACs before / after."""
        return _ratio(self.before.total_macs, self.after.total_macs)

    @property
    def replaced_macs(self) -> tuple[int, int]:
        """MACs of the replaced convolutions before and after."""
        return sum(row.macs[0] for row in self.replaced), sum(row.macs[1] for row in self.replaced)

    @property
    def eq4_speedup(self) -> float:
        """Theoretical speed-up of the replaced convolutions.

        Their MACs over the sum of their MACs / r_s, with r_s of arXiv 1911.11907, Eq. 4.
        """
        rows = [(row, row.ghost) for row in self.sites if row.ghost]
        ideal = (row.macs[0] / cost.eq4_speedup(row.site.geometry, ghost) for row, ghost in rows)
        return _ratio(self.replaced_macs[0], sum(ideal))

    def costs(self) -> dict[str, Any]:
        """Return the costs of the whole network in JSON types."""
        before, after = asdict(self.before), asdict(self.after)
        return {"model": self.model, "input": self.input, "before": before, "after": after}

    def document(self) -> Document:
        """Return the tables of replaced and kept convolutions, of totals and of agreement."""
        tables = (self._replaced(), self._kept(), self._totals(), self._agreement())
        ghosts = [row.ghost for row in self.sites if row.ghost]
        ratios, sizes = [ghost.ratio for ghost in ghosts], [ghost.dw_size for ghost in ghosts]
        records = [self._record(row) for row in (*self.replaced, *self.kept)]
        return Document(
            title=f"{self.model}, input {self.input}, s={_span(ratios)}, d={_span(sizes)}",
            tables=tuple(filter(None, tables)),
            notes=tuple(self._notes()),
            records=tuple(records),
            data={
                **self.costs(),
                "before": asdict(self.before) | {"total_macs": self.before.total_macs},
                "after": asdict(self.after) | {"total_macs": self.after.total_macs},
                "params_ratio": self.params_ratio,
                "macs_ratio": self.macs_ratio,
                "replaced_macs": list(self.replaced_macs),
                "eq4_speedup": self.eq4_speedup,
                "fidelity": self.fidelity and self.fidelity.to_dict(),
                "layers": records,
            },
        )

    def bars(self, unit: str) -> list[LayerBar]:
        """Return a bar for each convolution, in ``MACs`` or ``parameters``."""
        bars = []
        for row in self.sites:
            before, after = row.macs if unit == "MACs" else row.params
            numbers = f"{si(before)} → {si(after)}" if row.ghost else si(before)
            what = str(row.ghost) if row.ghost else f"kept: {row.reason}"
            tooltip = f"{row.site.name}\n{row.site.geometry}\n{numbers} {unit}\n{what}"
            bars.append(LayerBar(row.site.name, before, after, row.ghost is not None, tooltip))
        return bars

    def charts(self) -> Sequence[tuple[str, str]]:
        """Return a bar chart of MACs and one of parameters."""
        captions = {
            "MACs": "MACs of each layer: original grey, Ghost modules coloured",
            "parameters": "Parameters of each layer: original grey, Ghost modules coloured",
        }
        return [(caption, bars_svg(self.bars(unit), caption)) for unit, caption in captions.items()]

    @property
    def _residuals(self) -> Mapping[str, float]:
        return self.fidelity.residuals if self.fidelity else {}

    def _replaced(self) -> Table:
        mixed = len({row.ghost for row in self.replaced}) > 1
        residuals = self._residuals
        headings = ["MACs", "factor", *(["error"] if residuals else [])]
        rows = []
        for row in self.replaced:
            cells = [row.site.name, str(row.site.geometry), row.site.output_map]
            if mixed and row.ghost:
                cells.append(f"{row.ghost.ratio:g}, {row.ghost.dw_size}")
            cells += [f"{si(before)}→{si(after)}" for before, after in (row.params, row.macs)]
            cells.append(f"{_ratio(*row.macs):.2f}")
            if residuals:
                cells.append(_percent(residuals.get(row.site.name)))
            rows.append(tuple(cells))
        mixture = [Column("s, d")] if mixed else []
        texts = (Column("layer"), Column("geometry"), Column("map", spare=True), *mixture)
        columns = (*texts, Column("parameters", numeric=True, spare=True), *numeric(*headings))
        return Table(f"Replaced: {len(rows)}", columns, tuple(rows))

    def _kept(self) -> Table | None:
        by_reason: dict[str, list[SiteRow]] = {}
        for row in self.kept:
            by_reason.setdefault(row.reason, []).append(row)
        if not by_reason:
            return None
        rows = []
        for reason, group in by_reason.items():
            share = _ratio(sum(row.macs[0] for row in group), self.before.total_macs)
            names = summarize_names(row.site.name for row in group)
            rows.append((reason, names, str(len(group)), f"{share:.1%}"))
        wrapped = (Column("reason", wrap=True), Column("layers", wrap=True))
        columns = (*wrapped, *numeric("count", "of all MACs"))
        return Table(f"Kept: {len(self.kept)}", columns, tuple(rows))

    def _totals(self) -> Table:
        before, after = self.before, self.after
        counted = f"MACs, all that {before.counter} counts"
        linear = (before.conv_and_linear_macs, after.conv_and_linear_macs)
        quantities: list[tuple[str, float, float, str, str]] = [
            ("parameters", before.params, after.params, "", ""),
            ("weights", before.weight_bytes, after.weight_bytes, "B", ""),
            ("MACs, replaced layers", *self.replaced_macs, "", f"{self.eq4_speedup:.2f}x"),
            ("MACs, convolutions + linear", *linear, "", ""),
            (counted, before.total_macs, after.total_macs, "", ""),
        ]
        rows = tuple(
            (name, si(old, 4) + unit, si(new, 4) + unit, f"{_ratio(old, new):.2f}x", theory)
            for name, old, new, unit, theory in quantities
        )
        return Table("Totals", (Column(""), *numeric("before", "after", "ratio", "Eq. 4")), rows)

    def _agreement(self) -> Table | None:
        if self.fidelity is None or self.fidelity.score is None:
            return None
        score = self.fidelity.score
        rows = [(self.agreement_on, str(score.images))]
        if score.agreement is not None and score.kl is not None:
            rows.append((self.same, f"{score.agreement:.1%}"))
            rows.append(("KL divergence", f"{score.kl:.3g} nats"))
        if score.teacher_mae is not None:
            rows.append(("mean absolute difference", f"{score.teacher_mae:.3g}"))
        rows.append(("relative error of the outputs", _percent(score.relative_error)))
        return Table("Agreement with the original", (Column(""), *numeric("")), tuple(rows))

    def _notes(self) -> Iterator[str]:
        counter = self.before.counter
        yield f"MACs: multiply-accumulates as {counter} counts them; papers call them FLOPs."
        yield "Eq. 4: theoretical speed-up of the GhostNet paper for these s and d."
        if counter == "torch":
            yield "fvcore cannot trace this model; torch counts convolutions and matrix products."
        if uncounted := self.before.uncounted | self.after.uncounted:
            listed = ", ".join(name.removeprefix("aten::") for name in sorted(uncounted))
            yield f"Not counted by fvcore: {listed}."
        fidelity = self.fidelity
        if fidelity is None or fidelity.init in ("random", "unknown"):
            yield "The cheap operations have random weights: train this network before use."
            return
        fitted = f", fitted to {fidelity.images} images" if fidelity.images else ""
        yield f"Initialization: {fidelity.init}{fitted}."
        if fidelity.residuals:
            of = "feature-map" if fidelity.images else "filter"
            yield f"error: weighted {of} error divided by variance; 0 % is identical."
        if fidelity.init == "weights":
            yield "Calibration on 64 to 512 images keeps far more accuracy than weights alone."
        yield from fidelity.notes

    def _record(self, row: SiteRow) -> dict[str, Any]:
        return {
            "layer": row.site.name,
            "geometry": str(row.site.geometry),
            "output": row.site.output_map,
            "calls": row.site.calls,
            "ratio": row.ghost and row.ghost.ratio,
            "dw_size": row.ghost and row.ghost.dw_size,
            "keep": row.reason,
            "params_before": row.params[0],
            "params_after": row.params[1],
            "macs_before": row.macs[0],
            "macs_after": row.macs[1],
            "error": self._residuals.get(row.site.name) if row.ghost else None,
        }


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.2%}" if value < 0.1 else f"{value:.1%}"


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else nan


def _span(numbers: Iterable[float]) -> str:
    """Format ``[2, 4, 3]`` as ``2-4``."""
    ordered = sorted(numbers)
    return "-".join(f"{number:g}" for number in dict.fromkeys([*ordered[:1], *ordered[-1:]]))
