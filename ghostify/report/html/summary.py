"""Summary of an artifact from its recipe and measurements, without its weights."""

from __future__ import annotations

from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

from ghostify.io.measurements import read_measurements
from ghostify.io.recipe import Recipe, read_recipe
from ghostify.report.compression import Compression
from ghostify.report.evaluation import Evaluation
from ghostify.report.html.records import Costs, Export, FeatureMapImages
from ghostify.report.metric_texts import describe_score
from ghostify.report.report import Report
from ghostify.report.site_row import SiteRow, site_rows
from ghostify.report.timing import Timing
from ghostify.types import Count, PlanCandidate, Sensitivity

T = TypeVar("T")


class ArtifactSummary:
    """All that is known of an artifact: its recipe, and the measurements that hold for it.

    Attributes:
        whole_network: whether the totals of ``report`` cover the network or its convolutions only.
        candidates: plans that `search` compared.
        compression: what `compress` tried, if it made the artifact.
        feature_maps: what `feature_map_images` returned.
    """

    def __init__(self, artifact: str | PathLike[str]) -> None:
        self.folder = Path(artifact)
        self.recipe = read_recipe(self.folder)
        costs = self._recorded("costs", Costs)
        self.report = _report(self.recipe, *costs[-1:])
        self.whole_network = bool(costs)
        self.timings = _merged(self._recorded("timing", Timing))
        self.exports = [_export(data) for data in self._recorded("export", Export)]
        self.sensitivity = next(iter(self._recorded("sensitivity", Sensitivity)), None)
        self.candidates = self._recorded("plan-candidate", PlanCandidate)
        self.compression = next(iter(self._recorded("compression", Compression)), None)
        self.feature_maps = next(iter(self._recorded("feature-maps", FeatureMapImages)), None)
        recorded = self._recorded("evaluation", Evaluation)
        self.evaluations = tuple(_with_int8(each, self.compression) for each in recorded)

    @property
    def is_random(self) -> bool:
        """Whether the original was randomly initialized."""
        return self.recipe.original is not None and not self.recipe.original.trained

    @property
    def is_as_converted(self) -> bool:
        """Whether the weights are those that the conversion made."""
        return len(self.recipe.lineage) == 1

    @property
    def warning(self) -> str | None:
        """What a reader must know before all else: that the network is untrained."""
        if self.is_random:
            return (
                "This network was converted from random weights, so its outputs mean nothing "
                "unless you have trained it since. Costs and times are valid. For accuracy, "
                "convert it with trained weights (--weights)."
            )
        return self.report.untrained if self.is_as_converted else None

    @property
    def is_timed(self) -> bool:
        """Whether both networks were timed."""
        return any(timing.pairs() for timing in self.timings)

    @property
    def devices(self) -> str:
        """The processors that times were measured on; empty if unknown."""
        return ", ".join(dict.fromkeys(t.devices for t in self.timings if t.devices))

    @property
    def has_int8(self) -> bool:
        """Whether a file is INT8."""
        return any(export["kept"] for export in self.exports)

    @property
    def export_inputs(self) -> str:
        """What the files were verified on."""
        kinds = {bool(export["kept"]): export["inputs"] for export in self.exports}
        words = {False: "{} inputs", True: "{} held-out images (INT8)"}
        return " and on ".join(words[kind].format(kinds[kind]) for kind in sorted(kinds))

    @property
    def plan_options(self) -> str:
        """The plan in words: budget, runtime, and the ranges of s and d."""
        parts = []
        options = self.recipe.options or {}
        if isinstance(budgets := options.get("budget"), list):
            parts.append(f"budget {' and '.join(map(str, budgets))}")
        if runtime := options.get("runtime"):
            parts.append(f"for {runtime}")
        ghosts = [row.ghost for row in self.report.sites if row.ghost]
        for name, values in (("s", [g.ratio for g in ghosts]), ("d", [g.dw_size for g in ghosts])):
            if values:
                bounds = dict.fromkeys(f"{value:.4g}" for value in (min(values), max(values)))
                parts.append(f"{name} = {' to '.join(bounds)}")
        return ", ".join(parts)

    def _recorded(self, kind: str, cls: type[T]) -> tuple[T, ...]:
        return read_measurements(self.folder, kind, cls, recipe=self.recipe)


def _with_int8(evaluation: Evaluation, compression: Compression | None) -> Evaluation:
    """Add the INT8 file that a compression made, since that is what is used."""
    if compression is None or compression.exported is None or not evaluation.rows:
        return evaluation
    if evaluation.data != compression.evaluation.data:
        return evaluation
    name, row = list(evaluation.rows.items())[-1]
    int8 = replace(row, score=compression.exported)
    return replace(evaluation, rows={**evaluation.rows, f"{name}, INT8": int8})


def _export(data: Export) -> dict[str, Any]:
    """Add how far an INT8 file agrees with the float32 network."""
    score = data.get("score")
    return {**data, "kept": describe_score(score) if score else ""}


def _report(recipe: Recipe, costs: Costs | None = None) -> Report:
    """Return what `compare` returned; without the costs, those of the convolutions."""
    rows = site_rows(recipe.plan)
    name = recipe.source.name if recipe.source else recipe.model
    if costs is None:
        counts = _convolutions(rows, 0), _convolutions(rows, 1)
        return Report(name, "", rows, *counts, recipe.fidelity, outputs=recipe.outputs)
    counts = costs["before"], costs["after"]
    name = costs["model"] or name
    return Report(name, costs["input"], rows, *counts, recipe.fidelity, outputs=recipe.outputs)


def _convolutions(rows: tuple[SiteRow, ...], side: int) -> Count:
    params = sum(row.params[side] for row in rows)
    macs = {"conv": sum(row.macs[side] for row in rows)}
    return Count(params, 4 * params, macs, {}, counter="the plan")


def _merged(timings: tuple[Timing, ...]) -> tuple[Timing, ...]:
    """Merge timings of the same networks on the same input and processor."""
    merged: dict[tuple[Any, ...], Timing] = {}
    for timing in timings:
        devices = frozenset(measurement.device for measurement in timing.measurements)
        key = (timing.input, devices, *timing.macs.items())
        before = merged[key].measurements if key in merged else ()
        merged[key] = replace(timing, measurements=(*before, *timing.measurements))
    return tuple(merged.values())
