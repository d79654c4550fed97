"""Costs and fidelity of a conversion."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import nan
from typing import Any

from ghostify.planning import cost
from ghostify.report.charts import legend_text, summarize_bars
from ghostify.report.document import Column, Document, Table, numeric, si
from ghostify.report.formats import Printable
from ghostify.report.layer_bars import layer_bars
from ghostify.report.reasons import list_reasons
from ghostify.report.site_row import SiteRow
from ghostify.report.svg import bars_svg
from ghostify.types import Count, Fidelity, Outputs

HELD_OUT = "images held out, before training"


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
    def changed(self) -> tuple[SiteRow, ...]:
        """Convolutions that are Ghost modules now, or have fewer channels."""
        return tuple(row for row in self.sites if row.changed)

    @property
    def replaced(self) -> tuple[SiteRow, ...]:
        """Convolutions that are Ghost modules now."""
        return tuple(row for row in self.sites if row.ghost)

    @property
    def pruned(self) -> tuple[SiteRow, ...]:
        """Convolutions that have fewer output channels now."""
        return tuple(row for row in self.sites if row.pruned)

    @property
    def kept(self) -> tuple[SiteRow, ...]:
        """Convolutions that are as they were."""
        return tuple(row for row in self.sites if not row.changed)

    @property
    def params_ratio(self) -> float:
        """Parameters before / after."""
        return _ratio(self.before.params, self.after.params)

    @property
    def macs_ratio(self) -> float:
        """Counted MACs before / after."""
        return _ratio(self.before.total_macs, self.after.total_macs)

    @property
    def changed_macs(self) -> tuple[int, int]:
        """MACs of the changed convolutions before and after."""
        return sum(row.macs[0] for row in self.changed), sum(row.macs[1] for row in self.changed)

    @property
    def eq4_speedup(self) -> float:
        """Theoretical speed-up of the changed convolutions.

        Their MACs over what is left with fewer channels, of which each Ghost module is faster by
        r_s of arXiv 1911.11907, Eq. 4.
        """
        ideal = (
            cost.macs(row.converted)
            / (cost.eq4_speedup(row.remaining, row.ghost) if row.ghost else 1)
            for row in self.changed
        )
        return _ratio(self.changed_macs[0], sum(ideal))

    def costs(self) -> dict[str, Any]:
        """Return the costs of the whole network in JSON types."""
        before, after = asdict(self.before), asdict(self.after)
        return {"model": self.model, "input": self.input, "before": before, "after": after}

    @property
    def untrained(self) -> str | None:
        """That nothing makes up yet for what the conversion removed; None if something does."""
        if self.fidelity is None or self.fidelity.init in ("random", "unknown"):
            if self.replaced:
                return "The cheap operations have random weights: train this network before use."
            if self._narrowed:
                return "Nothing makes up for the dropped channels: train this network before use."
        return None

    def definitions(self) -> dict[str, str]:
        """Return what the headings of the tables mean."""
        counter = self.before.counter
        found = {"MACs": f"multiply-accumulates as {counter} counts them; papers call them FLOPs."}
        if self.replaced:
            of = "s, d and channels" if self._narrowed else "s and d"
            found["Eq. 4"] = f"theoretical speed-up of the GhostNet paper for these {of}."
        if self._narrowed:
            found["channels"] = (
                "inputs→outputs that are left; 20+20: 20 intrinsic maps and 20 ghosts."
            )
        if self._residuals:
            of = "feature-map" if self.fidelity and self.fidelity.images else "filter"
            found["error"] = f"weighted {of} error divided by variance; 0 % is identical."
        return found

    def remarks(self) -> Iterator[str]:
        """Yield how costs were counted and weights initialized, and the warnings about these."""
        if self.before.counter == "torch":
            yield "fvcore cannot trace this model; torch counts convolutions and matrix products."
        if uncounted := self.before.uncounted | self.after.uncounted:
            listed = ", ".join(name.removeprefix("aten::") for name in sorted(uncounted))
            yield f"Not counted by fvcore: {listed}."
        fidelity = self.fidelity
        if fidelity is None or fidelity.init in ("random", "unknown"):
            return
        fitted = f", fitted to {fidelity.images} images" if fidelity.images else ""
        yield f"Initialization: {fidelity.init}{fitted}."
        if fidelity.init == "weights":
            yield "Calibration on 64 to 512 images keeps far more accuracy than weights alone."
        yield from fidelity.notes

    def document(self) -> Document:
        """Return the tables of changed and kept convolutions, of totals and of agreement."""
        tables = (
            self._changed(), self._kept(), self._unprunable(), self._totals(), self._agreement()
        )  # fmt: skip
        records = [self._record(row) for row in (*self.changed, *self.kept)]
        return Document(
            title=", ".join(self._headline()),
            tables=tuple(filter(None, tables)),
            notes=tuple(self._notes()),
            records=tuple(records),
            data={
                **self.costs(),
                "before": asdict(self.before) | {"total_macs": self.before.total_macs},
                "after": asdict(self.after) | {"total_macs": self.after.total_macs},
                "params_ratio": self.params_ratio,
                "macs_ratio": self.macs_ratio,
                "changed_macs": list(self.changed_macs),
                "eq4_speedup": self.eq4_speedup,
                "fidelity": self.fidelity and self.fidelity.to_dict(),
                "layers": records,
            },
        )

    def charts(self) -> Sequence[tuple[str, str]]:
        """Return a bar chart of MACs and one of parameters."""
        charts = []
        for name, unit in (("MACs", "MACs"), ("Parameters", "parameters")):
            bars = layer_bars(self.sites, unit)
            caption = f"{name} of each layer: {summarize_bars(bars)}. {legend_text(bars)}"
            charts.append((caption, bars_svg(bars, caption)))
        return charts

    @property
    def _residuals(self) -> Mapping[str, float]:
        return self.fidelity.residuals if self.fidelity else {}

    @property
    def _narrowed(self) -> bool:
        return any(row.remaining != row.site.geometry for row in self.sites)

    def _headline(self) -> Iterator[str]:
        yield f"{self.model}, input {self.input}"
        if ghosts := [row.ghost for row in self.sites if row.ghost]:
            yield f"s={_span(ghost.ratio for ghost in ghosts)}"
            yield f"d={_span(ghost.dw_size for ghost in ghosts)}"
        if self.pruned:
            yield f"{len(self.pruned)} layers pruned"

    def _changed(self) -> Table:
        mixed, residuals = len({row.ghost for row in self.changed}) > 1, self._residuals
        rows = []
        for row in self.changed:
            cells = [row.site.name, str(row.site.geometry)]
            cells += [row.channels] if self._narrowed else []
            cells.append(row.site.output_map)
            if mixed:
                cells.append(f"{row.ghost.ratio:g}, {row.ghost.dw_size}" if row.ghost else "")
            cells += [f"{si(before)}→{si(after)}" for before, after in (row.params, row.macs)]
            cells.append(f"{_ratio(*row.macs):.2f}")
            cells += [_percent(residuals.get(row.site.name))] if residuals else []
            rows.append(tuple(cells))
        columns = [Column("layer"), Column("geometry")]
        columns += [Column("channels")] if self._narrowed else []
        columns.append(Column("map", spare=True))
        columns += [Column("s, d", spare=self._narrowed)] if mixed else []
        columns.append(Column("parameters", numeric=True, spare=True))
        columns += numeric("MACs", "factor", *(["error"] if residuals else []))
        return Table(f"Changed: {len(rows)}", tuple(columns), tuple(rows))

    def _kept(self) -> Table | None:
        reasons = [(row.reason, row.site) for row in self.kept]
        return list_reasons("Kept", reasons, self.before.total_macs)

    def _unprunable(self) -> Table | None:
        """The reasons why layers of a pruned network have all of their output channels."""
        reasons = [(row.site.unprunable, row.site) for row in self.sites if self.pruned]
        return list_reasons("Not prunable", reasons, self.before.total_macs)

    def _totals(self) -> Table:
        before, after = self.before, self.after
        counted = f"MACs, all that {before.counter} counts"
        linear = (before.conv_and_linear_macs, after.conv_and_linear_macs)
        quantities: list[tuple[str, float, float, str, str]] = [
            ("parameters", before.params, after.params, "", ""),
            ("weights", before.weight_bytes, after.weight_bytes, "B", ""),
            ("MACs, changed layers", *self.changed_macs, "", f"{self.eq4_speedup:.2f}x"),
            ("MACs, convolutions + linear", *linear, "", ""),
            (counted, before.total_macs, after.total_macs, "", ""),
        ]
        headings = ["before", "after", "ratio", *(["Eq. 4"] if self.replaced else [])]
        rows = tuple(
            (name, si(old, 4) + unit, si(new, 4) + unit, f"{_ratio(old, new):.2f}x", theory)
            for name, old, new, unit, theory in quantities
        )
        shown = tuple(row[: len(headings) + 1] for row in rows)
        return Table("Totals", (Column(""), *numeric(*headings)), shown)

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
        yield from (f"{term}: {meaning}" for term, meaning in self.definitions().items())
        yield from self.remarks()
        if self.untrained:
            yield self.untrained

    def _record(self, row: SiteRow) -> dict[str, Any]:
        return {
            "layer": row.site.name,
            "geometry": str(row.site.geometry),
            "output": row.site.output_map,
            "calls": row.site.calls,
            "inputs": row.remaining.in_channels,
            "outputs": row.remaining.out_channels,
            "ratio": row.ghost and row.ghost.ratio,
            "dw_size": row.ghost and row.ghost.dw_size,
            "keep": row.reason,
            "unprunable": row.site.unprunable or "",
            "params_before": row.params[0],
            "params_after": row.params[1],
            "macs_before": row.macs[0],
            "macs_after": row.macs[1],
            "error": self._residuals.get(row.site.name),
        }


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.2%}" if value < 0.1 else f"{value:.1%}"


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else nan


def _span(numbers: Iterable[float]) -> str:
    """Format ``[2, 4, 3]`` as ``2-4``."""
    ordered = sorted(numbers)
    return "-".join(f"{number:g}" for number in dict.fromkeys([*ordered[:1], *ordered[-1:]]))
