"""Summary of an artifact from its recipe and measurements, without its weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

from ghostify.io.measurements import recorded
from ghostify.io.recipe import read_recipe
from ghostify.report.evaluation import Evaluation
from ghostify.report.report import Report, SiteRow
from ghostify.report.timing import Timing
from ghostify.types import (
    Count,
    Fidelity,
    GhostifyError,
    ModelSource,
    Plan,
    PlanCandidate,
    Recovery,
    Sensitivity,
)

T = TypeVar("T")


@dataclass(frozen=True)
class ArtifactSummary:
    """All that is known of an artifact.

    Attributes:
        created: time of the conversion in ISO format.
        source: where the original comes from.
        options: options of the plan.
        whole_network: whether the totals of ``report`` cover the network or its convolutions only.
        candidates: plans that `search` compared.
        feature_maps: what `feature_map_images` returned.
    """

    folder: Path
    created: str | None
    versions: dict[str, str]
    source: ModelSource | None
    options: dict[str, Any]
    report: Report
    whole_network: bool
    timings: tuple[Timing, ...]
    exports: tuple[dict[str, Any], ...]
    sensitivity: Sensitivity | None
    candidates: tuple[PlanCandidate, ...]
    feature_maps: dict[str, Any] | None
    evaluations: tuple[Evaluation, ...]
    recovery: Recovery | None

    @classmethod
    def read(cls, artifact: str | PathLike[str]) -> ArtifactSummary:
        """Read an artifact's recipe, and the measurements that hold for it."""
        folder = Path(artifact)
        recipe = read_recipe(folder)

        def measured(kind: str, read: Callable[[Any], T]) -> tuple[T, ...]:
            try:
                return tuple(read(data) for data in recorded(folder, kind, recipe=recipe))
            except (GhostifyError, TypeError, ValueError) as error:
                raise GhostifyError(f"{kind} of {folder}: {error}") from error

        plan, fidelity, source = recipe.plan, recipe.fidelity, recipe.source
        name = source.name if source else recipe.model
        reports = measured("costs", lambda costs: _report(plan, fidelity, **costs))
        return cls(
            folder=folder,
            created=recipe.created,
            versions=dict(recipe.versions),
            source=source,
            options=dict(recipe.options or {}),
            report=reports[-1] if reports else _report(plan, fidelity, name),
            whole_network=bool(reports),
            timings=_merged(measured("timing", Timing.from_dict)),
            exports=measured("export", dict),
            sensitivity=next(iter(measured("sensitivity", Sensitivity.from_dict)), None),
            candidates=measured("plan-candidate", PlanCandidate.from_dict),
            feature_maps=next(iter(measured("feature-maps", dict)), None),
            evaluations=measured("evaluation", Evaluation.from_dict),
            recovery=recipe.recovery,
        )


def _report(
    plan: Plan,
    fidelity: Fidelity | None,
    model: str,
    input: str = "",
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> Report:
    """Return what `compare` returned; without the counts, those of the convolutions."""
    rows = tuple(SiteRow(d.site, d.ghost, d.keep or "") for d in plan.decisions)
    old, new = (
        Count.from_dict(count) if count else _convolutions(rows, side)
        for side, count in enumerate((before, after))
    )
    return Report(model, input, rows, old, new, fidelity)


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
