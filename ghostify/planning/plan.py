"""Plans for sites that have been analyzed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ghostify.planning.budget import Budgets, parse_budgets
from ghostify.planning.budgeted import CANDIDATES, budget_plan, loss_increase_from
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

    The arguments are those of `ghostify.plan`. Without a sensitivity, the loss increase of a
    Ghost module is estimated as the squared share of ghosts among its outputs. Without a
    sensitivity or candidates, the candidates are nine ratios from 1.25 to 8 at d = 3.

    Raises:
        GhostifyError: if a number is out of its range, a pattern matches nothing, no plan is
            within the budget, the sensitivity lacks a candidate, or an argument does not apply.
    """
    if budget is None:
        _check_absent(
            "needs `budget`, such as 'macs=0.5'",
            candidates=candidates,
            sensitivity=sensitivity,
            totals=totals,
        )
    else:
        _check_absent(
            "does not apply with `budget`, which chooses among `candidates`",
            ratio=ratio,
            dw_size=dw_size,
        )
    ghost = GhostSpec(
        ratio=GhostSpec.ratio if ratio is None else ratio,
        dw_size=GhostSpec.dw_size if dw_size is None else dw_size,
    )
    sites = tuple(sites)
    include, exclude = patterns_for(sites, include), patterns_for(sites, exclude)
    rules = Rules(include, exclude, stem, all_eligible, latencies)
    if budget is None:
        return Plan(tuple(_uniform_decision(site, rules, ghost) for site in sites))
    if candidates is None:
        candidates = CANDIDATES if sensitivity is None else sensitivity.candidates
    return budget_plan(
        sites,
        rules,
        parse_budgets(budget),
        tuple(candidates),
        loss_increase_from(sensitivity),
        {
            **(totals or {}),
            **(sensitivity.totals if sensitivity else {}),
            **({"latency": latencies.total} if latencies else {}),
        },
    )


def _uniform_decision(site: ConvSite, rules: Rules, ghost: GhostSpec) -> Decision:
    keep = rules.reason_to_keep(site, ghost)
    return Decision(site, keep=keep) if keep else Decision(site, ghost)


def _check_absent(reason: str, **arguments: object) -> None:
    for name, value in arguments.items():
        if value is not None:
            raise GhostifyError(f"`{name}` {reason}")
