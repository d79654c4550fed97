"""Plans within budgets: how many channels each convolution has, and which Ghost module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ghostify.planning.budget import Budget, UnmetBudgetError
from ghostify.planning.choose import choose
from ghostify.planning.cost import COSTS, Cost, channel_cost
from ghostify.planning.forest import Array, Forest, Table
from ghostify.planning.loss_increase import LossIncrease
from ghostify.planning.rules import Rules
from ghostify.planning.widths import WidthTree
from ghostify.types import ConvSite, Decision, GhostifyError, GhostSpec, Plan


def plan_within(
    budgets: Sequence[Budget],
    sites: Sequence[ConvSite],
    *,
    rules: Rules,
    candidates: Sequence[GhostSpec],
    widths: Mapping[str, Sequence[int]],
    loss_increase: LossIncrease,
    totals: Mapping[str, float],
) -> Plan:
    """Return the plan with the least total loss increase within every budget.

    Args:
        budgets: the budgets.
        sites: the sites, in order.
        rules: which sites may be replaced.
        candidates: Ghost modules to choose among.
        widths: numbers of output channels to choose among, by name of the site.
        loss_increase: loss increase of each choice.
        totals: costs of the whole network by name. Default: the sum over all sites.

    Raises:
        GhostifyError: if no plan is within the budgets.
    """
    known = COSTS | ({"latency": rules.latencies.of} if rules.latencies else {})
    costs = {budget.cost: known[budget.cost] for budget in budgets}
    tree = WidthTree.of(sites, widths)
    choices = _Choices(tree, rules, candidates, widths, loss_increase, costs, totals)
    nodes = {name: place for place, name in enumerate(tree.parents)}
    forest = Forest(
        [-1 if parent is None else nodes[parent] for parent in tree.parents.values()],
        [Table(nodes[tree.node(site)], choices.table(site)) for site in sites],
    )
    limits = []
    for place, budget in enumerate(budgets, 1):
        dense = sum(costs[budget.cost](site, None) for site in sites)
        least = forest.best(np.eye(1 + len(budgets))[place]).costs[place]
        limits.append(_limit(budget, dense, least, totals))
    best = choose(forest, limits)
    if best is None:
        raise GhostifyError(f"budgets {', '.join(map(str, budgets))} cannot be met together")
    chosen = {n: widths[n][best.labels[place]] for n, place in nodes.items() if n in tree.outputs}
    decided = zip(sites, best.alternatives, strict=True)
    return Plan(tuple(choices.decide(site, chosen.get(site.name), a) for site, a in decided))


def _limit(budget: Budget, dense: float, least: float, totals: Mapping[str, float]) -> float:
    """Return what the budget leaves to sites that cost ``dense``, and ``least`` at least."""
    total = totals.get(budget.cost, dense)
    rest = total - dense
    limit = budget.bound(total) - rest
    if least > limit:
        lowest = budget.describe(rest + least, total)
        raise UnmetBudgetError(f"budget {budget} cannot be met: the lowest possible is {lowest}")
    return limit


@dataclass(frozen=True, slots=True)
class _Choices:
    """What each site may become, and what that costs."""

    tree: WidthTree
    rules: Rules
    candidates: Sequence[GhostSpec]
    widths: Mapping[str, Sequence[int]]
    loss_increase: LossIncrease
    costs: Mapping[str, Cost]
    totals: Mapping[str, float]

    def table(self, site: ConvSite) -> Array:
        """Return loss increase and costs, by labels of parent and node and by Ghost module."""
        reads, makes = self.tree.inputs.get(site.name), self.tree.outputs.get(site.name)
        inputs: Sequence[int | None] = self.widths[reads] if reads else [None]
        outputs: Sequence[int | None] = self.widths[makes] if makes else [None]
        if reads and reads == makes:
            table = np.array([[self._entry(site, width, width) for width in outputs]])
        else:
            table = np.array([[self._entry(site, i, o) for o in outputs] for i in inputs])
            if reads == self.tree.node(site):
                table = table.swapaxes(0, 1)
        return table.transpose(3, 0, 1, 2)

    def _entry(self, site: ConvSite, inputs: int | None, outputs: int | None) -> list[list[float]]:
        """Return loss increase and costs of the convolution and of each Ghost module."""
        narrowed = site.narrowed(inputs, outputs)
        own = self.tree.outputs.get(site.name) == site.name
        width = outputs if own and outputs != site.geometry.out_channels else None
        saved = [0.0] * len(self.costs)
        if width and site.region:
            dropped = site.geometry.out_channels - width
            each = {name: channel_cost(site.region, name) for name in self.costs}
            saved = [dropped * each[name] * (name in self.totals) for name in self.costs]

        def costs(ghost: GhostSpec | None) -> list[float]:
            found = [cost(narrowed, ghost) for cost in self.costs.values()]
            loss = self.loss_increase(site, ghost, width)
            return [loss, *(cost - less for cost, less in zip(found, saved, strict=True))]

        dense = costs(None)
        pays = (not self.rules.reason_against(narrowed, ghost) for ghost in self._ghosts(site))
        ghosts = zip(self._ghosts(site), pays, strict=True)
        return [dense, *(costs(ghost) if paying else dense for ghost, paying in ghosts)]

    def _ghosts(self, site: ConvSite) -> Sequence[GhostSpec]:
        return () if self.rules.reason_to_leave(site) else self.candidates

    def decide(self, site: ConvSite, width: int | None, alternative: int) -> Decision:
        """Return the decision for an alternative of the site's table."""
        width = None if width == site.geometry.out_channels else width
        if alternative:
            return Decision(site, self.candidates[alternative - 1], width=width)
        reasons = [self.rules.reason_to_keep(site, ghost) for ghost in self.candidates]
        keep = self.rules.reason_to_leave(site)
        if reasons and None not in reasons:
            keep = reasons[-1]
        return Decision(site, keep=keep or "kept by the budget", width=width)
