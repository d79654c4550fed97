"""Try plans by converting, and take the one that keeps most."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from math import inf, isnan
from typing import Any

from torch import nn

from ghostify.analysis import analyze
from ghostify.analysis.arguments import check_model
from ghostify.conversion.convert import convert
from ghostify.conversion.sensitivity import sensitivity as measure_sensitivity
from ghostify.data import as_batches
from ghostify.planning import CANDIDATES, plan_sites
from ghostify.planning.budget import Budgets, parse_budgets
from ghostify.planning.cost import macs
from ghostify.types import (
    Agreement,
    ConvSite,
    Example,
    Fidelity,
    GhostifyError,
    GhostSpec,
    Plan,
    PlanCandidate,
    Sensitivity,
)
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
    sensitivity: Sensitivity | None = None,
    progress: ShowProgress = True,
    tried: Callable[[PlanCandidate], None] | None = None,
    **rules: Any,
) -> Plan:
    """The plan within a budget whose conversion agrees most with the original.

    Damages of single sites are taken to add up, which they only nearly do. So four plans are
    converted and compared on held-out images: the best one, the best ones with no s above 4 and
    2.5, whose damages are nearer to what they are taken for, and the uniform ratio that meets the
    budget.

    Args:
        model: the original.
        example: an input, as in `analyze`.
        budget: as in `plan`.
        calibration: at least ten images, as in `convert`.
        sensitivity: from `ghostify.sensitivity`; measured here if it is not given.
        progress: whether to show a bar, or a function that is called with each `Progress`.
        tried: called with each plan that was converted, and what it keeps.
        **rules: ``include``, ``exclude``, ``stem`` and ``all_eligible``, as in `plan`.

    Raises:
        GhostifyError: as `plan` and `convert` do, and if there are too few images to hold any out.
    """
    check_model(model)
    calibration = as_batches(calibration, example)  # once: every plan sees the same images
    if sensitivity is None:
        sensitivity = measure_sensitivity(
            model, example, calibration=calibration, progress=progress
        )
    sites = analyze(model, example)
    best, least = None, inf
    for name, found in _plans(sites, budget, sensitivity, rules):
        if not found.replaced:
            return found
        converted = convert(
            model, example, plan=found, calibration=calibration, verify=False, progress=progress
        )
        fidelity = Fidelity.find(converted)
        if fidelity is None or fidelity.agreement is None:
            raise GhostifyError("to compare plans takes at least ten calibration images")
        kept = fidelity.agreement
        if tried is not None:
            tried(_trial(name, found, kept))
        lost = kept.relative_error if kept.kl is None else kept.kl
        lost = inf if isnan(lost) else lost
        if best is None or lost < least:
            best, least = found, lost
    assert best is not None
    return best


def _plans(
    sites: tuple[ConvSite, ...], budget: Budgets, measured: Sensitivity, rules: dict[str, Any]
) -> Iterator[tuple[str, Plan]]:
    said = ", ".join(map(str, parse_budgets(budget)))
    for cap in _CAPS:
        name = said if cap == inf else f"{said}, s up to {cap:g}"
        gentle = [ghost for ghost in measured.candidates if ghost.ratio <= cap]
        with suppress(GhostifyError) if cap < inf else nullcontext():
            yield (
                name,
                plan_sites(sites, budget=budget, sensitivity=measured, candidates=gentle, **rules),
            )
    with suppress(GhostifyError):  # the others may have cheaper kernels to choose from
        yield f"{said}, one s", uniform_within(sites, budget, measured, **rules)


def _trial(name: str, plan: Plan, agreement: Agreement) -> PlanCandidate:
    return PlanCandidate(
        plan=name,
        uniform=len(set(plan.replaced.values())) == 1,
        macs=int(sum(macs(d.site, d.ghost) for d in plan.decisions)),
        agreement=agreement,
    )


def uniform_within(
    sites: tuple[ConvSite, ...], budget: Budgets, measured: Sensitivity, **rules: Any
) -> Plan:
    """One ratio for all sites, the lowest that meets the budget.

    Raises:
        GhostifyError: if none does.
    """
    size = CANDIDATES[0].dw_size

    def planned(ratio: float) -> Plan:
        return plan_sites(
            sites,
            budget=budget,
            candidates=[GhostSpec(ratio, size)],
            totals=measured.totals,
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
