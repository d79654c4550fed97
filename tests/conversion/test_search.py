"""Plans that are tried out before one is taken."""

from dataclasses import replace

import pytest
import torch
from torch import nn

import ghostify
from ghostify import GhostifyError, GhostSpec, Plan
from ghostify.conversion.search import _plans, uniform_within
from ghostify.planning import cost, plan_sites
from ghostify.planning.budget import parse_budgets
from ghostify.planning.flops import count
from ghostify.types import Fidelity, WidthSensitivity


@pytest.fixture
def images():
    return nn.functional.avg_pool2d(torch.randn(60, 3, 14, 14), 3, 1) * 3


@pytest.fixture
def net(images):
    """A classifier of layers that matter unequally."""
    layers = []
    for maps, out in ((3, 8), (8, 16), (16, 24), (24, 16)):
        layers += [nn.Conv2d(maps, out, 3, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU()]
    net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(64, 10))
    for _ in range(20):
        net(images)
    with torch.no_grad():  # as cross-entropy trains it
        net[-1].weight.sub_(net[-1].weight.mean(0))
        net[-1].bias.sub_(net[-1].bias.mean())
    return net.eval()


def macs(net, plan, image):
    return count(ghostify.convert(net, image, plan=plan), image).conv_and_linear_macs


def kl(net, plan, images):
    converted = ghostify.convert(net, images[:1], plan=plan, calibration=images)
    return Fidelity.find(converted).score.kl


@pytest.mark.parametrize("share", [0.5, 0.8])
def test_within_the_budget_and_no_worse_than_uniform(net, images, share):
    image = images[:1]
    measured = ghostify.sensitivity(net, image, calibration=images)
    found = ghostify.search(
        net, image, budget={"macs": share}, calibration=images, sensitivity=measured
    )
    assert macs(net, found, image) <= share * measured.totals["macs"]
    uniform = uniform_within(ghostify.analyze(net, image), {"macs": share}, measured)
    assert kl(net, found, images) <= kl(net, uniform, images)


def test_rules_hold_for_every_plan(net, images):
    found = ghostify.search(net, images[:1], budget="macs=0.8", calibration=images, exclude="6")
    assert found.changed
    assert "6" not in found.changed


def with_widths(measured, sites):
    """Each further channel costs more than the one before."""
    widths = {
        s.name: WidthSensitivity(tuple(range(n)), tuple((c / n) ** 2 * 10 for c in range(1, n)))
        for s in sites
        if s.region and (n := s.geometry.out_channels)
    }
    return replace(measured, widths=widths)


@pytest.mark.parametrize("budget", ["macs=0.5", "macs=596K"])
def test_channels_and_ghosts_share_the_reduction_in_several_ways(net, images, budget):
    sites = ghostify.analyze(net, images[:1])
    measured = with_widths(ghostify.sensitivity(net, images[:1]), sites)
    rules = {"latencies": None}
    plans = {
        name.partition(", ")[2]: plan
        for name, plan in _plans(sites, parse_budgets(budget), measured, rules, True)
    }
    assert [*plans] == [  # "s up to 4" has the same plan as no limit
        "", "s up to 2.5", "channels alone", "75% by channels", "50% by channels", "ghosts alone",
        "one s",
    ]  # fmt: skip
    dense = measured.totals["macs"]
    left = {name: plan_macs(plan) for name, plan in plans.items()}
    assert all(0.4 * dense < macs <= 0.53 * dense for macs in left.values())
    assert plans["channels alone"].widths
    assert not plans["channels alone"].replaced
    assert plans["ghosts alone"].replaced
    assert not plans["ghosts alone"].widths
    assert max(ghost.ratio for ghost in plans["s up to 2.5"].replaced.values()) <= 2.5
    for name, share in (("75% by channels", 0.5**0.75), ("50% by channels", 0.5**0.5)):
        alone = Plan(tuple(replace(d, ghost=None, keep="-") for d in plans[name].decisions))
        assert 0.9 * share < plan_macs(alone) / dense <= share + 0.03
    ghosts = _plans(sites, parse_budgets(budget), measured, rules, False)
    assert not any(plan.widths for _, plan in ghosts)


def plan_macs(plan):
    layers = zip(plan.converted_sites, plan.decisions, strict=True)
    return sum(cost.macs(site, decision.ghost) for site, decision in layers)


def test_data_that_can_be_read_only_once(net, images):
    def search(data):
        return ghostify.search(net, images[:1], budget="params=0.7", calibration=data)

    assert search(iter(images.split(16))) == search(images)


def test_the_lowest_uniform_ratio(net, images):
    sites = ghostify.analyze(net, images[:1])
    estimated = ghostify.sensitivity(net, images[:1])
    plan = uniform_within(sites, "macs=0.6", estimated)
    (spec,) = set(plan.replaced.values())
    assert macs(net, plan, images[:1]) <= 0.6 * estimated.totals["macs"]
    lower = GhostSpec(spec.ratio - 1 / 32, spec.dw_size)
    with pytest.raises(GhostifyError, match="cannot be met"):
        plan_sites(
            sites, budget="macs=0.6", candidates=[lower], totals=estimated.totals, prune=False
        )


def test_a_budget_that_is_met_already_changes_nothing(net, images):
    found = ghostify.search(net, images[:1], budget="macs=1", calibration=images)
    assert not found.replaced


def test_too_few_images(net, images):
    with pytest.raises(GhostifyError, match="at least ten calibration images"):
        ghostify.search(net, images[:1], budget="macs=0.6", calibration=images[:9])


def test_no_plan_is_within_the_budget(net, images):
    with pytest.raises(GhostifyError, match="budget macs=0.001 cannot be met"):
        ghostify.search(net, images[:1], budget="macs=0.001", calibration=images)
