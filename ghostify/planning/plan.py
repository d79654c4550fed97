"""Plans for sites that have been analyzed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ghostify.planning.budget import Budget, Budgets, parse_budgets
from ghostify.planning.cost import COSTS
from ghostify.planning.knapsack import Option, choose
from ghostify.planning.rules import Patterns, Rules, patterns_for
from ghostify.types import (
    ConvSite,
    Decision,
    GhostifyError,
    GhostSpec,
    LayerLatencies,
    Plan,
    Sensitivity,
)

CANDIDATES = tuple(GhostSpec(ratio, 3) for ratio in (1.25, 1.5, 1.75, 2, 2.5, 3, 4, 6, 8))
"""The default candidates."""


def plan_sites(
    sites: Iterable[ConvSite],
    *,
    ratio: float | None = None,
    dw_size: int | None = None,
    include: Patterns = (),
    exclude: Patterns = (),
    stem: bool = False,
    all_eligible: bool = False,
    budget: Budgets | None = None,
    candidates: Iterable[GhostSpec] | None = None,
    sensitivity: Sensitivity | None = None,
    totals: Mapping[str, float] | None = None,
    latencies: LayerLatencies | None = None,
) -> Plan:
    """Plan the conversion of sites, without measuring anything.

    The arguments are those of `ghostify.plan`; ``totals`` are costs of the whole network by name,
    by default sums over ``sites``. Without a sensitivity, the loss increase of a Ghost module is
    estimated as the squared share of ghosts among its outputs. Without a sensitivity or
    candidates, the candidates are nine ratios from 1.25 to 8 at d = 3.

    Raises:
        GhostifyError: if a number is out of its range, a pattern matches nothing, no plan is
            within the budget, the sensitivity lacks a candidate, or an argument does not apply.
    """
    uniform: dict[str, Any] = {"ratio": ratio, "dw_size": dw_size}
    budgeted = {"candidates": candidates, "sensitivity": sensitivity, "totals": totals}
    if budget is None:
        _check_absent("needs `budget`, such as 'macs=0.5'", budgeted)
    else:
        _check_absent("does not apply with `budget`, which chooses among `candidates`", uniform)
    ghost = GhostSpec(**{name: value for name, value in uniform.items() if value is not None})
    sites = tuple(sites)
    include, exclude = patterns_for(sites, include), patterns_for(sites, exclude)
    rules = Rules(include, exclude, stem, all_eligible, latencies)
    if budget is None:
        reasons = ((site, rules.reason_to_keep(site, ghost)) for site in sites)
        return Plan(tuple(Decision(s, keep=r) if r else Decision(s, ghost) for s, r in reasons))
    if candidates is None:
        candidates = CANDIDATES if sensitivity is None else sensitivity.candidates
    known = {**(totals or {}), **(sensitivity.totals if sensitivity else {})}
    if latencies is not None:
        known["latency"] = latencies.total
    loss_increase = loss_increase_from(sensitivity)
    return _budget_plan(
        sites, rules, parse_budgets(budget), tuple(candidates), loss_increase, known
    )


def _check_absent(reason: str, arguments: Mapping[str, object]) -> None:
    for name, value in arguments.items():
        if value is not None:
            raise GhostifyError(f"`{name}` {reason}")


LossIncrease = Callable[[ConvSite, GhostSpec], float]
"""Estimated loss increase when a Ghost module replaces the convolution of a site."""


def loss_increase_from(sensitivity: Sensitivity | None) -> LossIncrease:
    """Return the loss increase by ``sensitivity``, or by the share of ghosts without one."""
    if sensitivity is None:
        return _squared_share_of_ghosts
    return lambda site, ghost: sensitivity.of(site.name, ghost)


def _squared_share_of_ghosts(site: ConvSite, ghost: GhostSpec) -> float:
    """((n - m) / n)^2, which is convex: a budget spreads over the layers."""
    outputs = site.geometry.out_channels
    return ((outputs - ghost.intrinsic(outputs)) / outputs) ** 2


def _budget_plan(
    sites: Sequence[ConvSite],
    rules: Rules,
    budgets: Sequence[Budget],
    candidates: Sequence[GhostSpec],
    loss_increase: LossIncrease,
    totals: Mapping[str, float],
) -> Plan:
    """Return the plan with the least total loss increase within every budget."""
    if not candidates:
        raise GhostifyError("`candidates` must hold at least one GhostSpec")
    costs = COSTS | ({"latency": rules.latencies.of} if rules.latencies else {})

    def option(site: ConvSite, ghost: GhostSpec | None) -> Option:
        price = tuple(costs[budget.cost](site, ghost) for budget in budgets)
        return Option(ghost, loss_increase(site, ghost) if ghost else 0.0, price)

    choices = [
        [option(site, None)]
        + [option(site, ghost) for ghost in candidates if not rules.reason_to_keep(site, ghost)]
        for site in sites
    ]
    limits = [
        _limit(budget, [[option.costs[place] for option in options] for options in choices], totals)
        for place, budget in enumerate(budgets)
    ]
    chosen = choose(choices, limits)
    if chosen is None:
        raise GhostifyError(f"budgets {', '.join(map(str, budgets))} cannot be met together")
    decisions = []
    for site, options, best in zip(sites, choices, chosen, strict=True):
        keep = None if len(options) > 1 else rules.reason_to_keep(site, candidates[-1])
        kept = Decision(site, keep=keep or "kept by the budget")
        decisions.append(Decision(site, best.ghost) if best.ghost else kept)
    return Plan(tuple(decisions))


def _limit(budget: Budget, costs: Sequence[Sequence[float]], totals: Mapping[str, float]) -> float:
    """Return what the budget leaves to sites with these costs, first those of the convolution."""
    dense = sum(options[0] for options in costs)
    total = totals.get(budget.cost, dense)
    rest = total - dense
    limit = budget.bound(total) - rest
    least = sum(map(min, costs))
    if least > limit:
        lowest = budget.describe(rest + least, total)
        raise GhostifyError(f"budget {budget} cannot be met: the lowest possible is {lowest}")
    return limit
