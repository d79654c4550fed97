"""Plans for sites that have been analyzed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ghostify.planning.budget import Budgets, parse_budgets
from ghostify.planning.loss_increase import loss_increase_from
from ghostify.planning.rules import Patterns, Rules, patterns_for
from ghostify.planning.widths import prunable_widths
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
    prune: bool = True,
    candidates: Iterable[GhostSpec] | None = None,
    sensitivity: Sensitivity | None = None,
    totals: Mapping[str, float] | None = None,
    latencies: LayerLatencies | None = None,
    widths: Mapping[str, int] | None = None,
) -> Plan:
    """Plan the conversion of sites, without measuring anything.

    The arguments are those of `ghostify.plan`; ``totals`` are costs of the whole network by name,
    by default sums over ``sites``. ``widths`` are numbers of output channels that are decided
    already, by name of the site; all others keep theirs. Without a sensitivity, the loss increase
    is estimated as the squared share of dropped channels, and of ghosts among the others. Without
    a sensitivity or candidates, the candidates are nine ratios from 1.25 to 8 at d = 3.

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
    possible: dict[str, tuple[int, ...]]
    if widths is not None or not prune:
        possible = {name: (width,) for name, width in (widths or {}).items()}
    else:
        possible = prunable_widths(sites, rules, sensitivity)
    candidates = tuple(candidates)
    if not candidates and not possible:
        raise GhostifyError("`candidates` must hold at least one GhostSpec")
    known = {**(totals or {}), **(sensitivity.totals if sensitivity else {})}
    if latencies is not None:
        known["latency"] = latencies.total
    from ghostify.planning.budget_plan import plan_within  # imports scipy

    plan = plan_within(
        parse_budgets(budget),
        sites,
        rules=rules,
        candidates=candidates,
        widths=possible,
        loss_increase=loss_increase_from(sensitivity),
        totals=known,
    )
    if sensitivity is None:
        return plan
    return plan.with_channels(
        {name: sensitivity.widths[name].channels(width) for name, width in plan.widths.items()}
    )


def _check_absent(reason: str, arguments: Mapping[str, object]) -> None:
    for name, value in arguments.items():
        if value is not None:
            raise GhostifyError(f"`{name}` {reason}")
