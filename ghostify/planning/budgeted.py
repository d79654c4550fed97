"""The plan with the least estimated loss increase within budgets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ghostify.planning.budget import Budget
from ghostify.planning.cost import COSTS
from ghostify.planning.knapsack import Option, choose
from ghostify.planning.rules import Rules
from ghostify.types import ConvSite, Decision, GhostifyError, GhostSpec, Plan, Sensitivity

CANDIDATES = tuple(GhostSpec(ratio, 3) for ratio in (1.25, 1.5, 1.75, 2, 2.5, 3, 4, 6, 8))
"""The default candidates."""

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


def budget_plan(
    sites: Sequence[ConvSite],
    rules: Rules,
    budgets: Sequence[Budget],
    candidates: Sequence[GhostSpec],
    loss_increase: LossIncrease,
    totals: Mapping[str, float],
) -> Plan:
    """Return the plan with the least total loss increase within every budget.

    Args:
        sites: what `analyze` found.
        rules: rules that keep convolutions.
        budgets: limits for the whole network.
        candidates: Ghost modules to choose among at each site.
        loss_increase: estimated loss increase of each choice.
        totals: costs of the whole network by name. Default: the sum over ``sites``.

    Raises:
        GhostifyError: if there are no candidates, or no plan is within the budgets.
    """
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
        _limit(budget, choices, place, totals.get(budget.cost))
        for place, budget in enumerate(budgets)
    ]
    chosen = choose(choices, limits)
    if chosen is None:
        raise GhostifyError(f"budgets {', '.join(map(str, budgets))} cannot be met together")

    def decision(site: ConvSite, options: Sequence[Option], ghost: GhostSpec | None) -> Decision:
        if ghost is not None:
            return Decision(site, ghost)
        reason = None if len(options) > 1 else rules.reason_to_keep(site, candidates[-1])
        return Decision(site, keep=reason or "kept by the budget")

    found = zip(sites, choices, chosen, strict=True)
    return Plan(tuple(decision(site, options, option.ghost) for site, options, option in found))


def _limit(
    budget: Budget, choices: Sequence[Sequence[Option]], place: int, total: float | None
) -> float:
    """Return what the budget leaves to the convolutions."""
    dense = sum(options[0].costs[place] for options in choices)
    total = dense if total is None else total
    rest = total - dense
    limit = budget.bound(total) - rest
    least = sum(min(option.costs[place] for option in options) for options in choices)
    if least > limit:
        raise GhostifyError(
            f"budget {budget} cannot be met: the lowest possible is "
            f"{budget.describe(rest + least, total)}"
        )
    return limit
