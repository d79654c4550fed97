"""Budgets choose widths and Ghost modules together."""

from dataclasses import replace
from itertools import product

import pytest
import torch
from torch import nn

import ghostify
from ghostify import GhostifyError, GhostSpec, Plan
from ghostify.planning import CANDIDATES, plan_sites
from ghostify.planning.cost import COSTS
from ghostify.planning.flops import count
from ghostify.planning.rules import Rules
from ghostify.types import Decision, Sensitivity, WidthSensitivity


class Block(nn.Module):
    """An inverted residual with squeeze-and-excitation, and a linear layer that reads maps."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, bias=False)
        self.expand = nn.Conv2d(4, 6, 3, bias=False)
        self.norm = nn.BatchNorm2d(6)
        self.depthwise = nn.Conv2d(6, 6, 3, padding=1, groups=6)
        self.down = nn.Conv2d(6, 3, 1)
        self.up = nn.Conv2d(3, 6, 1)
        self.project = nn.Conv2d(6, 4, 1)
        self.last = nn.Conv2d(4, 6, 3)
        self.head = nn.Linear(6 * 36, 5)

    def forward(self, x):
        x = self.stem(x).relu()
        y = self.depthwise(self.norm(self.expand(x)).relu())
        y = y * self.up(self.down(y.mean((2, 3), keepdim=True)).relu()).sigmoid()
        y = self.project(y) + x[:, :, 1:-1, 1:-1]
        return self.head(self.last(y).relu().flatten(1))


GHOSTS = (GhostSpec(1.5, 1), GhostSpec(3, 1))


@pytest.fixture(scope="module")
def example():
    return torch.zeros(1, 3, 12, 12)


@pytest.fixture(scope="module")
def sites(example):
    return ghostify.analyze(Block(), example)


@pytest.fixture(scope="module")
def sensitivity(sites, example):
    """Random loss increases by Ghost module; by width, they grow with each channel."""
    torch.manual_seed(0)
    totals = count(Block(), example)

    def increases(number):
        return tuple(torch.rand(number).sort().values.cumsum(0).tolist())

    return Sensitivity(
        unit="loss",
        measured=True,
        totals={"macs": totals.conv_and_linear_macs, "params": totals.params},
        layers={
            s.name: dict(zip(GHOSTS, increases(2), strict=True)) for s in sites if not s.ineligible
        },
        widths={
            s.name: WidthSensitivity(tuple(torch.randperm(n).tolist()), increases(n - 1))
            for s in sites
            if s.region and (n := s.geometry.out_channels)
        },
    )


def cost(plan, name, totals):
    """The cost of the whole network."""
    converted = zip(plan.converted_sites, plan.decisions, strict=True)
    saved = sum(COSTS[name](d.site, None) - COSTS[name](s, d.ghost) for s, d in converted)
    for decision in plan.decisions:
        if decision.width:
            dropped = decision.site.geometry.out_channels - decision.width
            saved += dropped * getattr(decision.site.region, name)
    return totals[name] - saved


def loss(plan, known):
    total = 0.0
    for d in plan.decisions:
        total += known.widths[d.site.name].of(d.width) if d.width else 0
        total += known.of(d.site.name, d.ghost) if d.ghost else 0
    return total


def all_plans(sites):
    """Every plan that the rules allow."""
    widths = [range(1, s.geometry.out_channels + 1) if s.region else [None] for s in sites]
    for chosen in product(*widths):
        narrowed = Plan(
            tuple(
                Decision(s, keep="so", width=None if w == s.geometry.out_channels else w)
                for s, w in zip(sites, chosen, strict=True)
            )
        )
        options = [
            [None, *(g for g in GHOSTS if not Rules().reason_to_keep(site, g))]
            for site in narrowed.converted_sites
        ]
        for ghosts in product(*options):
            decided = zip(narrowed.decisions, ghosts, strict=True)
            yield Plan(tuple(replace(d, ghost=g, keep=None if g else d.keep) for d, g in decided))


@pytest.fixture(scope="module")
def tried(sites, sensitivity):
    """Loss increase, MACs and parameters of every plan."""
    return [
        {"loss": loss(plan, sensitivity)}
        | {name: cost(plan, name, sensitivity.totals) for name in ("macs", "params")}
        for plan in all_plans(sites)
    ]


def test_what_may_be_narrowed(sites):
    assert [s.name for s in sites if s.region and not s.stem] == ["expand", "down", "last"]


@pytest.mark.parametrize(
    "budget",
    [
        {"macs": 0.9}, {"macs": 0.7}, {"macs": 0.55}, {"macs": 0.41}, {"params": 0.8},
        {"params": 0.5}, {"params": 0.3}, {"macs": 0.7, "params": 0.5},
        {"macs": 0.5, "params": 0.7}, {"macs": 0.45, "params": 0.4},
    ],
    ids=str,
)  # fmt: skip
def test_no_plan_within_the_budgets_is_better(sites, sensitivity, tried, budget):
    limits = {name: share * sensitivity.totals[name] for name, share in budget.items()}
    plan = plan_sites(sites, budget=budget, sensitivity=sensitivity)
    assert all(cost(plan, name, sensitivity.totals) <= limit for name, limit in limits.items())
    possible = (t for t in tried if all(t[name] <= limits[name] for name in limits))
    best = min(t["loss"] for t in possible)
    assert loss(plan, sensitivity) == pytest.approx(best, rel=1e-3)


@pytest.mark.parametrize("name", ["macs", "params"])
def test_the_lowest_possible_cost_is_that_of_the_narrowest_plan(sites, sensitivity, tried, name):
    lowest = min(t[name] for t in tried)
    with pytest.raises(GhostifyError, match="the lowest possible is ") as caught:
        plan_sites(sites, budget={name: 1e-3}, sensitivity=sensitivity)
    shown = float(str(caught.value).rpartition(" is ")[2].split()[0])
    assert shown == pytest.approx(lowest / sensitivity.totals[name], rel=0.01)


def test_the_channels_are_those_that_the_sensitivity_keeps(sites, sensitivity):
    plan = plan_sites(sites, budget="params=0.5", sensitivity=sensitivity)
    assert plan.widths
    for decision in plan.decisions:
        if decision.width:
            known = sensitivity.widths[decision.site.name]
            assert decision.channels == known.channels(decision.width)
            assert decision.ghost or decision.keep == "kept by the budget"
    estimated = plan_sites(sites, budget="params=0.5")
    assert estimated.widths
    assert not estimated.kept_channels


def test_ghosts_alone(sites, sensitivity):
    plan = plan_sites(sites, budget="macs=0.9", sensitivity=sensitivity, prune=False)
    assert plan.replaced
    assert not plan.widths


def test_widths_alone(sites, sensitivity):
    plan = plan_sites(sites, budget="macs=0.8", sensitivity=sensitivity, candidates=())
    assert plan.widths
    assert not plan.replaced
    with pytest.raises(GhostifyError, match="`candidates` must hold at least one"):
        plan_sites(sites, budget="macs=0.8", candidates=(), prune=False)


def test_widths_that_are_decided_already(sites, sensitivity):
    given = {"expand": 4, "last": 6}
    plan = plan_sites(sites, budget="macs=0.7", sensitivity=sensitivity, widths=given)
    assert plan.widths == {"expand": 4}
    assert plan.replaced
    assert cost(plan, "macs", sensitivity.totals) <= 0.7 * sensitivity.totals["macs"]


def test_without_totals_costs_are_those_of_convolutions(sites):
    plan = plan_sites(sites, budget="params=0.6")
    dense = sum(COSTS["params"](site, None) for site in sites)
    converted = zip(plan.converted_sites, plan.decisions, strict=True)
    assert sum(COSTS["params"](site, d.ghost) for site, d in converted) <= 0.6 * dense


def test_equal_layers_share_the_reduction():
    convs = [nn.Conv2d(3, 32, 3), *(nn.Conv2d(32, 32, 3) for _ in range(6))]
    found = ghostify.analyze(nn.Sequential(*convs, nn.Flatten()), torch.zeros(1, 3, 32, 32))
    plan = plan_sites(found, budget="params=0.5", candidates=CANDIDATES)
    inner = [plan.widths[name] for name in "12345"]
    assert max(inner) - min(inner) <= 4
