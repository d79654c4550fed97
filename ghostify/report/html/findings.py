"""All that an artifact knows of itself, without loading its weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from ghostify.io.atomic import RECIPE
from ghostify.io.measurements import recorded
from ghostify.io.recipe import read_recipe
from ghostify.planning.cost import conv_macs, macs, params
from ghostify.report.evaluation import Evaluation
from ghostify.report.report import Report
from ghostify.report.site_rows import KeptSite, ReplacedSite
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

Noun = TypeVar("Noun")


@dataclass(frozen=True)
class Findings:
    """What has been measured of an artifact so far.

    Attributes:
        folder: the artifact's.
        created: when it was saved, in ISO format, or None.
        versions: of ghostify and torch, by name.
        source: where the original comes from, if the artifact says it.
        options: what the plan was made by.
        report: all layers and totals.
        whole: whether the totals are of the whole network, and not of its convolutions alone.
        timings: one for each input and pair of networks.
        exports: a record for each form.
        sensitivity: the damage of each replacement alone.
        trials: plans for the original that were tried.
        glimpse: what `look` has seen of one image.
        evaluations: scores, one for each source of images.
        recovery: how the network was trained back, if it was.
    """

    folder: Path
    created: str | None
    versions: dict[str, str]
    source: ModelSource | None
    options: dict[str, Any]
    report: Report
    whole: bool
    timings: tuple[Timing, ...]
    exports: tuple[dict[str, Any], ...]
    sensitivity: Sensitivity | None
    trials: tuple[PlanCandidate, ...]
    glimpse: dict[str, Any] | None
    evaluations: tuple[Evaluation, ...]
    recovery: Recovery | None

    @classmethod
    def of(cls, folder: str | Path) -> Findings:
        """Read the artifact in ``folder``: its recipe, and the measurements that hold for it.

        Raises:
            GhostifyError: if the artifact or a measurement is damaged.
            OSError: if it cannot be read.
        """
        folder = Path(folder)
        recipe = read_recipe(folder)
        try:
            plan = Plan.from_dict(recipe["plan"])
            fidelity = recipe.get("fidelity") and Fidelity.from_dict(recipe["fidelity"])
            recovery = recipe.get("recovery") and Recovery.from_dict(recipe["recovery"])
            source = recipe["source"] and ModelSource.from_dict(recipe["source"])
            name = source.name if source else recipe["model"]
            versions = dict(recipe["versions"])
            options = dict(recipe.get("options") or {})
        except (KeyError, TypeError, ValueError) as error:
            raise GhostifyError(f"{folder / RECIPE} is not a recipe: {error}") from error
        costs = _nouns(folder, recipe, "costs", dict)
        glimpses = _nouns(folder, recipe, "feature-maps", dict)
        damages = _nouns(folder, recipe, "sensitivity", Sensitivity.from_dict)
        return cls(
            folder=folder,
            created=recipe.get("created"),
            versions=versions,
            source=source,
            options=options,
            report=_report(folder, plan, name, fidelity, costs[-1] if costs else None),
            whole=bool(costs),
            timings=_merged(_nouns(folder, recipe, "timing", Timing.from_dict)),
            exports=tuple(_nouns(folder, recipe, "export", dict)),
            sensitivity=damages[-1] if damages else None,
            trials=tuple(_nouns(folder, recipe, "plan-candidate", PlanCandidate.from_dict)),
            glimpse=glimpses[-1] if glimpses else None,
            evaluations=tuple(_nouns(folder, recipe, "evaluation", Evaluation.from_dict)),
            recovery=recovery,
        )


def _report(
    folder: Path, plan: Plan, name: str, fidelity: Fidelity | None, costs: dict[str, Any] | None
) -> Report:
    """What `compare` would return, from the plan and the counts that it has left."""
    replaced = tuple(ReplacedSite.priced(d.site, d.ghost) for d in plan.decisions if d.ghost)
    kept = tuple(
        KeptSite(d.site, d.keep, conv_macs(d.site)) for d in plan.decisions if d.keep is not None
    )
    try:
        before, after = (
            (Count.from_dict(costs["before"]), Count.from_dict(costs["after"]))
            if costs
            else (_convolutions(plan, converted=False), _convolutions(plan, converted=True))
        )
        return Report(
            model=costs["model"] if costs else name,
            input=costs["input"] if costs else "",
            replaced=replaced,
            kept=kept,
            before=before,
            after=after,
            fidelity=fidelity,
            order=tuple(d.site.name for d in plan.decisions),
        )
    except (KeyError, TypeError) as error:
        raise GhostifyError(f"{folder}: its costs are no costs: {error} is amiss") from error


def _convolutions(plan: Plan, *, converted: bool) -> Count:
    """Costs of the plan's sites alone."""
    chosen = [(d.site, d.ghost if converted else None) for d in plan.decisions]
    weights = sum(params(*pair) for pair in chosen)
    return Count(
        weights, 4 * weights, {"conv": sum(macs(*pair) for pair in chosen)}, {}, counter="the plan"
    )


def _nouns(
    folder: Path, recipe: dict[str, Any], kind: str, read: Callable[[Any], Noun]
) -> list[Noun]:
    try:
        return [read(data) for data in recorded(folder, kind, recipe=recipe)]
    except (GhostifyError, TypeError, ValueError) as error:
        raise GhostifyError(f"{kind} of {folder}: {error}") from error


def _merged(timings: list[Timing]) -> tuple[Timing, ...]:
    """Timings of the same networks on the same input as one."""
    merged: list[Timing] = []
    for timing in timings:
        same = [t for t in merged if (t.input, t.macs) == (timing.input, timing.macs)]
        if same:
            together = (*same[0].measurements, *timing.measurements)
            merged[merged.index(same[0])] = replace(same[0], measurements=together)
        else:
            merged.append(timing)
    return tuple(merged)
