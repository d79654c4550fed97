"""Try plans by converting, and take the one that keeps most."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from torch import nn

from ghostify.analysis import analyze
from ghostify.analysis.dry_run import materialize
from ghostify.conversion.convert import convert
from ghostify.conversion.sensitivity import check_measured_on
from ghostify.conversion.sensitivity import sensitivity as measure_sensitivity
from ghostify.deployment.layer_latency import layer_latency
from ghostify.evaluation.output_kinds import calibrate_on
from ghostify.io.progress import progress_bar
from ghostify.planning import CANDIDATES
from ghostify.planning.budget import Budget, Budgets, parse_budgets
from ghostify.planning.cost import COSTS, macs
from ghostify.planning.plan import plan_sites
from ghostify.planning.rules import Patterns
from ghostify.types import (
    ConvSite,
    Example,
    Fidelity,
    GhostifyError,
    GhostSpec,
    LayerLatencies,
    Plan,
    PlanCandidate,
    Score,
    Sensitivity,
)
from ghostify.types.outputs import OutputsLike
from ghostify.types.progress import ShowProgress

_CAPS = (4, 2.5)
_PARTS = (0.75, 0.5)
"""Parts of the reduction, in powers, that dropped channels bring before Ghost modules do."""
_FINEST = 1 / 64
_HIGHEST = 64.0


def search(
    model: nn.Module,
    example: Example,
    *,
    budget: Budgets,
    prune: bool = True,
    calibration: Any,
    outputs: OutputsLike = None,
    sensitivity: Sensitivity | None = None,
    include: Patterns = (),
    exclude: Patterns = (),
    stem: bool = False,
    all_eligible: bool = False,
    runtime: str | None = None,
    threads: int = 1,
    latencies: LayerLatencies | None = None,
    on_candidate: Callable[[PlanCandidate], None] | None = None,
    progress: ShowProgress = True,
) -> Plan:
    """Search for the plan whose converted network agrees most with the original.

    Sensitivities of single sites add up only approximately. So up to eight plans are converted and
    compared on held-out images: the best one within the budget; the best ones with s at most 4
    and 2.5, for which the approximation is better; the best one that drops channels alone; those
    that first drop channels, to a milder budget, and then choose Ghost modules; the best one with
    Ghost modules alone; and the lowest uniform s within the budget.

    Args:
        model: the original.
        example: an input, as in `analyze`.
        budget: as in `ghostify.plan`.
        prune: whether to try plans that drop output channels.
        calibration: at least ten images, as in `convert`.
        outputs: what the outputs are, as in `convert`.
        sensitivity: what `ghostify.sensitivity` returned. Default: measured here.
        include, exclude, stem, all_eligible, runtime, threads, latencies: as in `ghostify.plan`.
        on_candidate: called with each plan that was converted, and its agreement.
        progress: whether to show progress bars, or a function that is called with each `Progress`.

    Raises:
        GhostifyError: as `ghostify.plan` and `convert` do, and if there are too few images to hold
            any out.
    """
    model = materialize(model, example)
    calibration, outputs = calibrate_on(model, calibration, example, outputs)
    if sensitivity is None:
        sensitivity = measure_sensitivity(
            model, example, calibration=calibration, outputs=outputs, progress=progress
        )
    else:
        check_measured_on(sensitivity, model, example)
    if runtime is not None:
        latencies = layer_latency(
            model, example, runtime=runtime, threads=threads, prune=prune, progress=progress
        )
    rules: dict[str, Any] = {"include": include, "exclude": exclude, "stem": stem}
    rules |= {"all_eligible": all_eligible, "latencies": latencies}
    plans = _plans(analyze(model, example), parse_budgets(budget), sensitivity, rules, prune)
    best: Plan | None = None
    highest: Score | None = None
    with progress_bar("searching", progress) as report:
        for number, (name, plan) in enumerate(plans, 1):
            if not plan.changed:
                return plan
            converted = convert(
                model,
                example,
                plan=plan,
                calibration=calibration,
                outputs=outputs,
                verify=False,
                progress=progress,
            )
            fidelity = Fidelity.find(converted)
            if fidelity is None or fidelity.score is None:
                raise GhostifyError("comparing plans takes at least ten calibration images")
            if on_candidate is not None:
                uniform = not plan.widths and len(set(plan.replaced.values())) == 1
                layers = zip(plan.converted_sites, plan.decisions, strict=True)
                total = sum(macs(site, decision.ghost) for site, decision in layers)
                on_candidate(PlanCandidate(name, uniform, total, fidelity.score))
            if highest is None or fidelity.score.better_than(highest):
                best, highest = plan, fidelity.score
            report(number, len(plans), name)
    assert best is not None
    return best


def _plans(
    sites: tuple[ConvSite, ...],
    budgets: tuple[Budget, ...],
    measured: Sensitivity,
    rules: dict[str, Any],
    prune: bool,
) -> list[tuple[str, Plan]]:
    """Return different plans within the budgets, with their names."""
    within = partial(plan_sites, sites, sensitivity=measured, **rules)
    limits = ", ".join(map(str, budgets))
    plans = [(limits, within(budget=budgets, prune=prune))]
    ways: dict[str, Callable[[], Plan]] = {}
    for cap in _CAPS:
        gentle = [ghost for ghost in measured.candidates if ghost.ratio <= cap]
        ways[f"s up to {cap:g}"] = partial(within, budget=budgets, prune=prune, candidates=gentle)
    if prune:
        ways["channels alone"] = partial(within, budget=budgets, candidates=())
        for part in _PARTS:
            ways[f"{part:.0%} by channels"] = partial(
                _in_turn, sites, budgets, measured, rules, part
            )
        ways["ghosts alone"] = partial(within, budget=budgets, prune=False)
    # the lowest uniform s may have cheaper kernels to choose from
    ways["one s"] = partial(uniform_within, sites, budgets, measured, **rules)
    for name, way in ways.items():
        with suppress(GhostifyError):  # some do not reach the budgets
            plan = way()
            if all(plan != other for _, other in plans):
                plans.append((f"{limits}, {name}", plan))
    return plans


def _in_turn(
    sites: tuple[ConvSite, ...],
    budgets: tuple[Budget, ...],
    measured: Sensitivity,
    rules: dict[str, Any],
    part: float,
) -> Plan:
    """Drop channels for a part of the reduction, then choose Ghost modules for the rest."""
    totals = dict(measured.totals)
    if rules["latencies"] is not None:
        totals["latency"] = rules["latencies"].total
    milder = []
    for budget in budgets:
        dense = (COSTS[budget.cost](site, None) for site in sites)
        total = totals[budget.cost] if budget.cost in totals else sum(dense)
        share = min(budget.bound(total) / total, 1)
        milder.append(Budget(budget.cost, share**part, share=True))
    within = partial(plan_sites, sites, sensitivity=measured, **rules)
    first = within(budget=milder, candidates=())
    return within(budget=budgets, widths=first.widths)


def uniform_within(
    sites: tuple[ConvSite, ...], budget: Budgets, measured: Sensitivity, **rules: Any
) -> Plan:
    """Return the plan with one ratio for all sites, the lowest that meets the budget.

    Raises:
        GhostifyError: if none does.
    """

    def planned(ratio: float) -> Plan:
        candidates = [GhostSpec(ratio, CANDIDATES[0].dw_size)]
        return plan_sites(
            sites,
            budget=budget,
            candidates=candidates,
            totals=measured.totals,
            prune=False,
            **rules,
        )

    low, high = 1.0, _HIGHEST
    found = planned(high)
    while high - low > _FINEST:
        middle = (low + high) / 2
        try:
            found, high = planned(middle), middle
        except GhostifyError:
            low = middle
    return found
