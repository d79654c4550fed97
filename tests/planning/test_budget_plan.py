from collections import Counter

import pytest
import torch
from torch import nn

import ghostify
from ghostify import GhostifyError, GhostSpec
from ghostify.planning import CANDIDATES, plan_sites
from ghostify.planning.cost import COSTS
from ghostify.types import Sensitivity


@pytest.fixture
def sites(small_net, image):
    return ghostify.analyze(small_net, image)


def cost(plan, name):
    sites = zip(plan.converted_sites, plan.decisions, strict=True)
    return sum(COSTS[name](site, decision.ghost) for site, decision in sites)


def dense(sites, name):
    return sum(COSTS[name](site, None) for site in sites)


def kept(plan):
    return {d.site.name: d.keep for d in plan.decisions if d.keep}


def chain(layers, maps=32):
    convs = [nn.Conv2d(3, maps, 3, padding=1), *(nn.Conv2d(maps, maps, 3) for _ in range(layers))]
    return ghostify.analyze(nn.Sequential(*convs), torch.zeros(1, 3, 64, 64))


@pytest.mark.parametrize("share", [0.55, 0.6, 0.75, 0.9])
@pytest.mark.parametrize("name", ["macs", "params"])
def test_the_plan_is_within_the_budget_and_uses_it(sites, name, share):
    plan = plan_sites(sites, budget={name: share})
    assert 0.8 * share < cost(plan, name) / dense(sites, name) <= share


def test_two_budgets_hold_both(sites):
    plan = plan_sites(sites, budget=["macs=0.7", "params=4K"])
    assert cost(plan, "macs") <= 0.7 * dense(sites, "macs")
    assert cost(plan, "params") <= 4000


def test_a_budget_that_the_original_meets_leaves_it_alone(sites):
    plan = plan_sites(sites, budget="macs=1")
    assert not plan.replaced
    assert kept(plan) == {
        "stem": "first convolution (stem)",
        "wide": "kept by the budget",
        "depthwise": "depthwise",
        "project": "kept by the budget",
    }


def test_the_rules_of_the_uniform_plan_hold(sites):
    plan = plan_sites(sites, budget="macs=0.95", exclude="wide", prune=False)
    assert set(plan.replaced) == {"project"}
    assert kept(plan)["wide"] == "excluded by wide"
    assert "stem" in plan_sites(sites, budget="macs=0.4", stem=True, prune=False).replaced
    assert "stem" not in plan_sites(sites, budget="macs=0.6", prune=False).replaced


def test_where_no_candidate_pays_the_plan_says_why():
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 8, 1))
    sites = ghostify.analyze(model, torch.zeros(1, 3, 8, 8))
    plan = plan_sites(sites, budget="macs=1", candidates=[GhostSpec(2, 5)])
    assert kept(plan)["1"] == "a Ghost module would not cost less"


def test_equal_layers_share_the_reduction():
    plan = plan_sites(chain(6), budget="params=0.6", prune=False)
    ratios = Counter(ghost.ratio for ghost in plan.replaced.values())
    assert sum(ratios.values()) == 6
    assert max(ratios) <= 2


def test_only_candidates_are_chosen(sites):
    candidates = [GhostSpec(2, 1), GhostSpec(8, 1)]
    plan = plan_sites(sites, budget="macs=0.6", candidates=iter(candidates), prune=False)
    assert set(plan.replaced.values()) <= set(candidates)
    assert plan.replaced


def test_shares_are_of_the_whole_network(sites):
    convs = dense(sites, "macs")
    rest = 2 * convs  # what is no convolution cannot be made smaller
    plan = plan_sites(sites, budget="macs=0.9", totals={"macs": convs + rest})
    assert cost(plan, "macs") + rest <= 0.9 * (convs + rest)
    assert cost(plan, "macs") < 0.75 * convs


def test_absolute_limits_are_of_the_whole_network_too(sites):
    convs = dense(sites, "params")
    plan = plan_sites(sites, budget={"params": 10_000}, totals={"params": 10_500})
    assert cost(plan, "params") <= convs - 500


def sensitivity(sites, increase, totals=()):
    names = ("wide", "project")
    layers = {name: {g: increase(name, g) for g in CANDIDATES} for name in names}
    return Sensitivity(layers=layers, unit="loss", measured=True, totals=dict(totals))


def test_the_sensitive_layer_is_kept(sites):
    robust = {"wide": 1000.0, "project": 0.001}
    for names in (robust, {"wide": 0.001, "project": 1000.0}):
        known = sensitivity(sites, lambda name, g, names=names: names[name] * g.ratio)
        plan = plan_sites(sites, budget="macs=0.95", sensitivity=known)
        assert set(plan.replaced) == {min(names, key=names.get)}


def test_the_totals_of_the_sensitivity_come_first(sites):
    convs = dense(sites, "macs")
    known = sensitivity(sites, lambda name, g: g.ratio, {"macs": 2 * convs})
    wrong = {"macs": 100 * convs}
    plan = plan_sites(sites, budget="macs=0.8", sensitivity=known, totals=wrong)
    assert plan == plan_sites(sites, budget="macs=0.8", sensitivity=known)


def test_the_candidates_are_those_of_the_sensitivity(sites):
    only = GhostSpec(2.5, 5)
    known = Sensitivity(
        unit="loss", measured=True, layers={n: {only: 1.0} for n in ("wide", "project")}
    )
    plan = plan_sites(sites, budget="macs=0.7", sensitivity=known)
    assert set(plan.replaced.values()) == {only}


@pytest.mark.parametrize(
    ("layers", "candidates", "message"),
    [
        ({"wide": {GhostSpec(2): 1.0}}, None, "project is not in the sensitivity: measure it"),
        (
            {"wide": {GhostSpec(2): 1.0}, "project": {GhostSpec(2): 1.0}},
            [GhostSpec(3)],
            "wide: no sensitivity to s=3, d=3: measure it again",
        ),
        ({}, None, "`candidates` must hold at least one"),
    ],
)
def test_a_missing_sensitivity_is_named(sites, layers, candidates, message):
    known = Sensitivity(layers=layers, unit="loss", measured=True)
    with pytest.raises(GhostifyError, match=message):
        plan_sites(sites, budget="macs=0.6", sensitivity=known, candidates=candidates)


@pytest.mark.parametrize(
    ("budget", "named", "least"),
    [
        ("macs=0.1", "macs=0.1", r"0\.\d+ \(\S+K\)"),
        ("macs=1K", "macs=1K", r"[\d.]+K$"),
        (["macs=0.9", "params=0.1"], "params=0.1", r"0\.\d+ \(\S+K\)"),
    ],
)
def test_a_budget_too_small_names_the_lowest_possible(sites, budget, named, least):
    message = f"budget {named} cannot be met: the lowest possible is {least}"
    with pytest.raises(GhostifyError, match=message):
        plan_sites(sites, budget=budget)


def test_the_lowest_possible_budget_can_be_met(sites):
    with pytest.raises(GhostifyError, match="is ") as caught:
        plan_sites(sites, budget="macs=0.1")
    share, absolute = str(caught.value).rpartition("possible is ")[2].rstrip(")").split(" (")
    assert plan_sites(sites, budget={"macs": share}).replaced
    assert plan_sites(sites, budget={"macs": absolute}).replaced


def test_budgets_that_exclude_each_other(sites):
    budget = ["macs=0.6", f"activations={dense(sites, 'activations')}"]
    with pytest.raises(GhostifyError, match="budgets macs=0.6, activations=.* met together"):
        plan_sites(sites, budget=budget, prune=False)


def test_the_plan_converts(small_net, image, sites):
    plan = plan_sites(sites, budget="macs=0.6", prune=False)
    ghost = ghostify.convert(small_net, image, plan=plan)
    assert ghostify.Plan.of(ghost) == plan
