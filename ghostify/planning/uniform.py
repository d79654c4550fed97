"""The uniform plan: one ratio and one kernel wherever a Ghost module can stand and pays."""

from __future__ import annotations

from collections.abc import Iterable

from ghostify.planning.rules import Rules
from ghostify.spec import ConvSite, Decision, GhostSpec, Plan


def uniform_plan(sites: Iterable[ConvSite], rules: Rules, ghost: GhostSpec) -> Plan:
    """``ghost`` for every site that the rules let be replaced by it."""
    return Plan(tuple(_decision(site, rules, ghost) for site in sites))


def _decision(site: ConvSite, rules: Rules, ghost: GhostSpec) -> Decision:
    keep = rules.reason_to_keep(site) or rules.reason_against(site, ghost)
    return Decision(site, keep=keep) if keep else Decision(site, ghost)
