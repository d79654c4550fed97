"""Try plans by converting, and take the one that keeps most."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from math import inf
from typing import Any

from torch import nn

from ghostify.analysis import analyze
from ghostify.analysis.arguments import check_model
from ghostify.conversion.convert import convert
from ghostify.conversion.sensitivity import sensitivity as measure_sensitivity
from ghostify.deployment.layer_latency import layer_latency
from ghostify.evaluation.output_kinds import calibrate_on
from ghostify.io.progress import progress_bar
from ghostify.planning import CANDIDATES
from ghostify.planning.budget import Budgets, parse_budgets
from ghostify.planning.cost import macs
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

_CAPS = (inf, 4, 2.5)
_FINEST = 1 / 64
_HIGHEST = 64.0


def search(
    model: nn.Module,
    example: Example,
    *,
    budget: Budgets,
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

    Sensitivities of single sites add up only approximately. So up to four plans are converted and
    compared on held-out images: the best one within the budget, the best ones with s at most 4
    and 2.5, for which the approximation is better, and the lowest uniform s within the budget.

    Args:
        model: the original.
        example: an input, as in `analyze`.
        budget: as in `ghostify.plan`.
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
    check_model(model)
    calibration, outputs = calibrate_on(model, calibration, example, outputs)
    if sensitivity is None:
        sensitivity = measure_sensitivity(
            model, example, calibration=calibration, outputs=outputs, progress=progress
        )
    if runtime is not None:
        latencies = layer_latency(
            model, example, runtime=runtime, threads=threads, progress=progress
        )
    rules: dict[str, Any] = {"include": include, "exclude": exclude, "stem": stem}
    rules |= {"all_eligible": all_eligible, "latencies": latencies}
    plans = list(_plans(analyze(model, example), budget, sensitivity, rules))
    best: Plan | None = None
    highest: Score | None = None
    with progress_bar("searching", progress) as report:
        for number, (name, plan) in enumerate(plans, 1):
            if not plan.replaced:
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
                uniform = len(set(plan.replaced.values())) == 1
                total = int(sum(macs(d.site, d.ghost) for d in plan.decisions))
                on_candidate(PlanCandidate(name, uniform, total, fidelity.score))
            if highest is None or fidelity.score.better_than(highest):
                best, highest = plan, fidelity.score
            report(number, len(plans), name)
    assert best is not None
    return best


def _plans(
    sites: tuple[ConvSite, ...], budget: Budgets, measured: Sensitivity, rules: dict[str, Any]
) -> Iterator[tuple[str, Plan]]:
    limits = ", ".join(map(str, parse_budgets(budget)))
    for cap in _CAPS:
        name = limits if cap == inf else f"{limits}, s up to {cap:g}"
        gentle = [ghost for ghost in measured.candidates if ghost.ratio <= cap]
        with suppress(GhostifyError) if cap < inf else nullcontext():
            yield (
                name,
                plan_sites(sites, budget=budget, sensitivity=measured, candidates=gentle, **rules),
            )
    with suppress(GhostifyError):  # the others may have cheaper kernels to choose from
        yield f"{limits}, one s", uniform_within(sites, budget, measured, **rules)


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
