"""The plan for a budget: as much of each layer kept as the whole network can afford."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ghostify.planning.budget import Budget
from ghostify.planning.cost import COSTS
from ghostify.planning.knapsack import Option, allocate
from ghostify.planning.rules import Rules
from ghostify.types import ConvSite, Decision, GhostifyError, GhostSpec, Plan, Sensitivity

Damage = Callable[[ConvSite, GhostSpec], float]
"""How much it hurts to put a Ghost module at a site; to leave the site is 0."""


def geometric_damage(site: ConvSite, ghost: GhostSpec) -> float:
    """The square of the share of ghosts among the layer's maps, ((n - m) / n)^2.

    Every ghost is taken to hurt alike, whatever the layer and the cheap kernel. The square is
    convex, so that a little in many layers hurts less than much in a few: a budget spreads out.
    """
    maps = site.geometry.out_channels
    return ((maps - ghost.intrinsic(maps)) / maps) ** 2


def damage_from(sensitivity: Sensitivity | None) -> Damage:
    """The damage that the sensitivity knows, or without one the geometric estimate."""
    if sensitivity is None:
        return geometric_damage
    return lambda site, ghost: sensitivity.of(site.name, ghost)


CANDIDATES = tuple(GhostSpec(ratio, 3) for ratio in (1.25, 1.5, 1.75, 2, 2.5, 3, 4, 6, 8))
"""What a layer may become where the user does not say."""


def budget_plan(
    sites: Sequence[ConvSite],
    rules: Rules,
    budgets: Sequence[Budget],
    candidates: Sequence[GhostSpec],
    damage: Damage,
    totals: Mapping[str, float],
) -> Plan:
    """The plan with the least sum of damages whose network is within every budget.

    Args:
        sites: what `analyze` found.
        rules: what may be replaced.
        budgets: for the whole network.
        candidates: what a site may become, or stay.
        damage: how much that hurts.
        totals: what the whole network costs, by cost; the convolutions alone where it is not said.

    Raises:
        GhostifyError: if there are no candidates, or no plan is within the budgets.
    """
    if not candidates:
        raise GhostifyError("no candidates are given: name a GhostSpec that a site may become")
    choices = [_options(site, rules, budgets, candidates, damage) for site in sites]
    limits = [
        _limit(budget, choices, place, totals.get(budget.cost))
        for place, budget in enumerate(budgets)
    ]
    chosen = allocate(choices, limits)
    if chosen is None:
        raise GhostifyError(f"budgets {', '.join(map(str, budgets))} cannot be met together")
    return Plan(
        tuple(
            Decision(site, option.ghost)
            if option.ghost
            else Decision(site, keep=_reason(site, rules, candidates))
            for site, option in zip(sites, chosen, strict=True)
        )
    )


def _options(
    site: ConvSite,
    rules: Rules,
    budgets: Sequence[Budget],
    candidates: Sequence[GhostSpec],
    damage: Damage,
) -> list[Option]:
    known = COSTS | ({"latency": rules.latencies.of} if rules.latencies else {})

    def costs(ghost: GhostSpec | None) -> tuple[float, ...]:
        return tuple(known[budget.cost](site, ghost) for budget in budgets)

    return [Option(None, 0.0, costs(None))] + [
        Option(ghost, damage(site, ghost), costs(ghost))
        for ghost in _allowed(site, rules, candidates)
    ]


def _allowed(site: ConvSite, rules: Rules, candidates: Sequence[GhostSpec]) -> list[GhostSpec]:
    if rules.reason_to_keep(site):
        return []
    return [ghost for ghost in candidates if not rules.reason_against(site, ghost)]


def _limit(
    budget: Budget, choices: Sequence[Sequence[Option]], place: int, total: float | None
) -> float:
    """What the budget leaves to the convolutions."""
    dense = sum(options[0].costs[place] for options in choices)
    total = dense if total is None else total
    rest = total - dense
    limit = budget.bound(total) - rest
    least = sum(min(option.costs[place] for option in options) for options in choices)
    if least > limit:
        raise GhostifyError(
            f"budget {budget} cannot be met: the least that can be had is "
            f"{budget.describe(rest + least, total)}"
        )
    return limit


def _reason(site: ConvSite, rules: Rules, candidates: Sequence[GhostSpec]) -> str:
    if _allowed(site, rules, candidates):
        return "left dense by the budget plan"
    return rules.reason_to_keep(site) or str(rules.reason_against(site, candidates[-1]))
