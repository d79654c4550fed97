"""`ghostify.plan` measures what a plan needs, and `convert` takes the same arguments."""

from dataclasses import replace

import pytest
import torch
from torch import nn

import ghostify
from ghostify import GhostifyError, GhostSpec, Plan
from ghostify.conversion.swap import swap
from ghostify.planning.flops import count
from ghostify.types import Sensitivity, WidthSensitivity

ARGUMENTS = [
    {"ratio": 4, "dw_size": 1},
    {"exclude": ["wide"]},
    {"include": "wide"},
    {"stem": True},
    {"budget": "macs=0.7"},
    {"budget": {"macs": 0.8}, "exclude": "wide", "stem": True},
    {"budget": "macs=0.7", "prune": False},
]


@pytest.mark.parametrize("arguments", ARGUMENTS, ids=str)
def test_convert_plans_by_the_same_arguments(small_net, image, arguments):
    plan = ghostify.plan(small_net, image, **arguments)
    assert plan.changed
    assert Plan.of(ghostify.convert(small_net, image, **arguments)) == plan


def test_a_model_is_planned_as_its_sites_are(small_net, image):
    sites = ghostify.analyze(small_net, image)
    assert ghostify.plan(small_net, image, ratio=3) == ghostify.plan(sites, ratio=3)


def test_the_sensitivity_is_measured_on_the_calibration_images(small_net, image):
    images = torch.rand(16, *image.shape[1:])
    measured = ghostify.sensitivity(small_net, image, calibration=images)
    plan = ghostify.plan(small_net, image, budget="macs=0.7", sensitivity=measured)
    assert ghostify.plan(small_net, image, budget="macs=0.7", calibration=images) == plan
    converted = ghostify.convert(small_net, image, budget="macs=0.7", calibration=images)
    assert Sensitivity.find(converted) == measured


def with_widths(model, image):
    """A sensitivity to fewer channels of each site with a region: the last ones go first."""
    found = ghostify.sensitivity(model, image)
    widths = {
        site.name: WidthSensitivity(
            tuple(reversed(range(n))), tuple(1e-6 * dropped for dropped in range(1, n))
        )
        for site in ghostify.analyze(model, image)
        if site.region and (n := site.geometry.out_channels)
    }
    return replace(found, widths=widths)


class Squeezed(nn.Module):
    """An inverted residual with squeeze-and-excitation, and a linear layer that reads maps."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.expand = nn.Sequential(nn.Conv2d(16, 48, 1), nn.BatchNorm2d(48), nn.ReLU())
        self.depthwise = nn.Conv2d(48, 48, 3, padding=1, groups=48)
        self.down, self.up = nn.Conv2d(48, 12, 1), nn.Conv2d(12, 48, 1)
        self.project = nn.Conv2d(48, 16, 1)
        self.last = nn.Conv2d(16, 32, 3, stride=4)
        self.head = nn.Linear(32 * 16, 10)

    def forward(self, x):
        x = self.stem(x).relu()
        y = self.depthwise(self.expand(x))
        y = y * self.up(self.down(y.mean((2, 3), keepdim=True)).relu()).sigmoid()
        return self.head(self.last(x + self.project(y)).relu().flatten(1))


def test_channels_are_dropped_unless_pruning_is_off(image):
    model = Squeezed()
    known = with_widths(model, image)
    plan = ghostify.plan(model, image, budget="macs=0.7", sensitivity=known)
    assert plan.widths
    assert all(plan.kept_channels[n] == tuple(range(w)) for n, w in plan.widths.items())
    alone = ghostify.plan(model, image, budget="macs=0.7", prune=False, sensitivity=known)
    assert alone.replaced
    assert not alone.widths


@pytest.mark.parametrize("share", [0.8, 0.6, 0.5])
def test_what_is_planned_is_what_is_counted(share, image):
    model = Squeezed()
    known = with_widths(model, image)
    for budget in ("macs", "params"):
        plan = ghostify.plan(model, image, budget={budget: share}, sensitivity=known)
        counted = count(swap(model, plan, image)[0], image)
        assert plan.widths
        found = {"macs": counted.conv_and_linear_macs, "params": counted.params}[budget]
        assert found <= share * known.totals[budget]
        assert found >= 0.95 * share * known.totals[budget]


def test_what_is_not_faster_in_a_runtime_stays(small_net, image, monkeypatch):
    def layer_latency(model, example, *, runtime, threads, candidates, prune, progress):
        assert (runtime, threads, list(candidates)) == ("eager", 2, [GhostSpec(2, 3)])
        assert not prune
        times = {"wide": (1.0, 2.0), "project": (2.0, 1.0)}
        return ghostify.types.LayerLatencies(
            runtime, threads, 3.0,
            {name: {None: dense, GhostSpec(2, 3): ghost} for name, (dense, ghost) in times.items()},
        )  # fmt: skip

    monkeypatch.setattr("ghostify.conversion.plan.layer_latency", layer_latency)
    plan = ghostify.plan(small_net, image, runtime="eager", threads=2)
    assert list(plan.replaced) == ["project"]


def test_sites_alone_cannot_be_measured(small_net, image):
    sites = ghostify.analyze(small_net, image)
    with pytest.raises(GhostifyError, match="need a model to measure"):
        ghostify.plan(sites, runtime="eager")
    with pytest.raises(GhostifyError, match="plan needs `example`"):
        ghostify.plan(small_net)
    with pytest.raises(GhostifyError, match="`model` is an OrderedDict, such as a state dict"):
        ghostify.plan(small_net.state_dict(), image)
