"""Summary of an artifact from its recipe and measurements, without its weights."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

from ghostify.io.measurements import recorded
from ghostify.io.recipe import Recipe, read_recipe
from ghostify.report.evaluation import Evaluation
from ghostify.report.metric_texts import describe_score
from ghostify.report.report import Report
from ghostify.report.site_row import SiteRow, site_rows
from ghostify.report.timing import Timing
from ghostify.types import Count, GhostifyError, PlanCandidate, Score, Sensitivity

T = TypeVar("T")

_LIBRARIES = ("torchvision", "timm", "ghostify")


class ArtifactSummary:
    """All that is known of an artifact: its recipe, and the measurements that hold for it.

    Attributes:
        whole_network: whether the totals of ``report`` cover the network or its convolutions only.
        candidates: plans that `search` compared.
        feature_maps: what `feature_map_images` returned.
    """

    def __init__(self, artifact: str | PathLike[str]) -> None:
        self.folder = Path(artifact)
        self.recipe = read_recipe(self.folder)
        reports = self._recorded("costs", lambda costs: _report(self.recipe, **costs))
        self.report = reports[-1] if reports else _report(self.recipe)
        self.whole_network = bool(reports)
        self.timings = _merged(self._recorded("timing", Timing.from_dict))
        self.exports = self._recorded("export", _export)
        self.sensitivity = next(iter(self._recorded("sensitivity", Sensitivity.from_dict)), None)
        self.candidates = self._recorded("plan-candidate", PlanCandidate.from_dict)
        self.feature_maps = next(iter(self._recorded("feature-maps", dict)), None)
        self.evaluations = self._recorded("evaluation", Evaluation.from_dict)

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

    @property
    def command_folder(self) -> str:
        """The folder as a shell word."""
        return shlex.quote(self.folder.name or str(self.folder))

    @property
    def command_model(self) -> str:
        """The options that commands need for an artifact of the user's own code."""
        source = self.recipe.source
        if source is None:
            return " --model FILE.py:FACTORY --input CxHxW"
        prefix, colon, _ = source.name.rpartition(":")
        own = colon and prefix not in _LIBRARIES
        return f" --model {shlex.quote(source.name)}" if own else ""

    @property
    def command_weights(self) -> str:
        """The option that commands need if the recipe does not know the original's weights."""
        known = self.recipe.original
        found = known is not None and (known.file is not None or known.name is not None)
        return "" if found else " --weights original.safetensors"

    def _recorded(self, kind: str, read: Callable[[Any], T]) -> tuple[T, ...]:
        try:
            return tuple(read(data) for data in recorded(self.folder, kind, recipe=self.recipe))
        except (GhostifyError, TypeError, ValueError) as error:
            raise GhostifyError(f"{kind} of {self.folder}: {error}") from error


def _export(data: Mapping[str, Any]) -> dict[str, Any]:
    """Add how far an INT8 file agrees with the float32 network."""
    score = data.get("score")
    return {**data, "kept": describe_score(Score(**score)) if score else ""}


def _report(
    recipe: Recipe,
    model: str | None = None,
    input: str = "",
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> Report:
    """Return what `compare` returned; without the counts, those of the convolutions."""
    rows = site_rows(recipe.plan)
    old, new = (
        Count.from_dict(count) if count else _convolutions(rows, side)
        for side, count in enumerate((before, after))
    )
    name = model or (recipe.source.name if recipe.source else recipe.model)
    return Report(name, input, rows, old, new, recipe.fidelity, outputs=recipe.outputs)


def _convolutions(rows: tuple[SiteRow, ...], side: int) -> Count:
    params = sum(row.params[side] for row in rows)
    macs = {"conv": sum(row.macs[side] for row in rows)}
    return Count(params, 4 * params, macs, {}, counter="the plan")


def _merged(timings: tuple[Timing, ...]) -> tuple[Timing, ...]:
    """Merge timings of the same networks on the same input."""
    merged: dict[tuple[Any, ...], Timing] = {}
    for timing in timings:
        key = (timing.input, *timing.macs.items())
        before = merged[key].measurements if key in merged else ()
        merged[key] = replace(timing, measurements=(*before, *timing.measurements))
    return tuple(merged.values())
