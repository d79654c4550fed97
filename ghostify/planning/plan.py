"""The verb: a decision for every site."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ghostify.planning.budget import Budgets, parse_budgets
from ghostify.planning.budgeted import CANDIDATES, budget_plan, damage_from
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


def uniform_plan(sites: Iterable[ConvSite], rules: Rules, ghost: GhostSpec) -> Plan:
    """``ghost`` for every site that the rules let be replaced by it."""
    return Plan(tuple(_decision(site, rules, ghost) for site in sites))


def _decision(site: ConvSite, rules: Rules, ghost: GhostSpec) -> Decision:
    keep = rules.reason_to_keep(site) or rules.reason_against(site, ghost)
    return Decision(site, keep=keep) if keep else Decision(site, ghost)


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
    """A Ghost module wherever one can stand and pays, the same everywhere or as a budget allows.

    Without a budget the plan is uniform: one ratio and one kernel. With one, each site becomes one
    of the candidates or stays, so that the sum of damages is the least that the budget allows;
    this is solved exactly. A damage is what the sensitivity says. Without one it is estimated as
    the square of the share of ghosts among a layer's maps: every ghost is taken to hurt alike,
    whatever the layer and the cheap kernel.

    A pattern is a glob (``layer1.*``, ``Bottleneck``) and matches a convolution by its qualified
    name, by its type, or by the name or type of a module around it.

    Args:
        sites: what `analyze` found.
        ratio: s of the uniform plan, outputs for each intrinsic map; above 1. Default: 2.
        dw_size: d of the uniform plan, the side of the cheap operation's kernel; odd. Default: 3.
        include: replace only what matches this pattern, or one of these.
        exclude: keep what matches this pattern, or one of these.
        stem: also replace the first convolution, which the paper's authors advise to keep.
        all_eligible: also replace where it does not pay: where the Ghost module would have no
            fewer weights than the convolution, and on 1x1 maps.
        budget: the most that the network may cost: ``"macs=0.5"`` (half of the original's),
            ``"params=4M"``, several of these, or ``{"macs": 0.5, "params": "4M"}``. Costs are
            ``macs``, ``params``, ``activations`` (bytes) and, with ``latencies``, ``latency``
            (ms).
        candidates: what a site may become for a budget. Default: what the sensitivity has
            measured; without one, nine ratios from 1.25 to 8 at d = 3.
        sensitivity: the damage of each replacement. Default: the estimate above.
        totals: what the whole network costs, as ``{"macs": 4.1e9}``, where the sensitivity does
            not say. Default: the sum over the convolutions.
        latencies: from `layer_latency`: what would not be faster in its runtime stays dense.

    Raises:
        GhostifyError: if a number is out of range, a pattern matches nothing, no plan is within
            the budget, the sensitivity lacks a candidate at a site, or an argument is for the
            other kind of plan.
    """
    uniform = {"ratio": ratio, "dw_size": dw_size}
    budgeted = {"candidates": candidates, "sensitivity": sensitivity, "totals": totals}
    if budget is None:
        _refuse(budgeted, "needs a budget, such as budget='macs=0.5'")
    else:
        _refuse(uniform, "is for the uniform plan: a budget chooses among candidates")
    ghost = GhostSpec(
        ratio=GhostSpec.ratio if ratio is None else ratio,
        dw_size=GhostSpec.dw_size if dw_size is None else dw_size,
    )
    sites = tuple(sites)
    include, exclude = patterns_for(sites, include), patterns_for(sites, exclude)
    rules = Rules(include, exclude, stem, all_eligible, latencies)
    if budget is None:
        return uniform_plan(sites, rules, ghost)
    if candidates is None:
        candidates = CANDIDATES if sensitivity is None else sensitivity.candidates
    return budget_plan(
        sites,
        rules,
        parse_budgets(budget),
        tuple(candidates),
        damage_from(sensitivity),
        {
            **(totals or {}),
            **(sensitivity.totals if sensitivity else {}),
            **({"latency": latencies.total} if latencies else {}),
        },
    )


def _refuse(arguments: Mapping[str, object], reason: str) -> None:
    for name, value in arguments.items():
        if value is not None:
            raise GhostifyError(f"{name} {reason}")
