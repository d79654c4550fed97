"""Sensitivities to the number of channels."""

import copy

import pytest
import torch
from torch import nn

import ghostify
from ghostify import Plan
from ghostify.evaluation.evaluate import agreement
from ghostify.types import Decision, Outputs


def smooth(number, size=12):
    """Images with similar neighboring pixels."""
    noise = torch.randn(number, 3, size + 2, size + 2)
    return nn.functional.avg_pool2d(noise, 3, 1) * 3


@pytest.fixture(scope="module")
def images():
    torch.manual_seed(0)
    return smooth(192)


@pytest.fixture(scope="module")
def net(images):
    torch.manual_seed(1)
    layers = [
        nn.Conv2d(3, 12, 3, padding=1, bias=False), nn.BatchNorm2d(12), nn.ReLU(),
        nn.Conv2d(12, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
        nn.AvgPool2d(2), nn.Flatten(), nn.Linear(16 * 36, 10),
    ]  # fmt: skip
    net = nn.Sequential(*layers)
    for _ in range(20):
        net(images)
    with torch.no_grad():
        net[-1].weight.mul_(8).sub_(net[-1].weight.mean(0))
        net[-1].bias.sub_(net[-1].bias.mean())
    return net.eval()


@pytest.mark.parametrize("on_data", [True, False])
def test_increases_rise_with_each_channel(net, images, on_data):
    data = images if on_data else None
    found = ghostify.sensitivity(net, images[:1], calibration=data, outputs="classes").widths
    assert {name: len(width.order) for name, width in found.items()} == {"0": 12, "3": 16}
    for width in found.values():
        assert list(width.increases) == sorted(width.increases)
        assert width.increases[0] >= 0
    if not on_data:  # shares of the variance
        assert all(width.increases[-1] <= 1 for width in found.values())


@pytest.mark.parametrize("on_data", [True, False])
def test_copies_and_channels_that_nothing_reads_are_dropped_first(net, images, on_data):
    net = copy.deepcopy(net)
    with torch.no_grad():
        conv, norm, reader = net[0], net[1], net[3]
        for layer in (conv, norm):
            layer.weight[5] = layer.weight[2]
        norm.running_mean[5], norm.running_var[5] = norm.running_mean[2], norm.running_var[2]
        norm.bias[5] = norm.bias[2]
        reader.weight[:, 7] = 0
    data = images if on_data else None
    found = ghostify.sensitivity(net, images[:1], calibration=data).widths["0"]
    assert set(found.order[:2]) in ({2, 7}, {5, 7})
    assert found.increases[1] < 0.1 * found.increases[2]


@pytest.mark.parametrize("name", ["0", "3"])
@pytest.mark.parametrize("width", [10, 8])
def test_it_is_about_the_divergence_that_pruning_alone_causes(net, images, name, width):
    found = ghostify.sensitivity(net, images[:1], calibration=images, outputs="classes")
    sites = ghostify.analyze(net, images[:1])
    plan = Plan(
        tuple(
            Decision(s, keep="so", width=width, channels=found.widths[name].channels(width))
            if s.name == name
            else Decision(s, keep="so")
            for s in sites
        )
    )
    ghost = ghostify.convert(net, images[:1], plan=plan, calibration=images, outputs="classes")
    outputs = Outputs.find(ghost)
    measured = agreement(net, ghost, list(images.split(32)), outputs).kl
    assert found.widths[name].of(width) / 3 < measured < 3 * found.widths[name].of(width)


def test_channels_are_chosen_at_the_conversion_if_the_plan_has_none(net, images):
    found = ghostify.sensitivity(net, images[:1], calibration=images, candidates=())
    sites = ghostify.analyze(net, images[:1])
    plan = Plan((Decision(sites[0], keep="so", width=6), Decision(sites[1], keep="so")))
    ghost = ghostify.convert(net, images[:1], plan=plan, calibration=images)
    assert Plan.of(ghost).kept_channels["0"] == found.widths["0"].channels(6)
    again = ghostify.convert(net, images[:1], plan=Plan.of(ghost), calibration=images)
    pairs = zip(ghost.state_dict().values(), again.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_channels_need_an_example_to_be_chosen(net, images):
    sites = ghostify.analyze(net, images[:1])
    plan = Plan((Decision(sites[0], keep="so", width=6), Decision(sites[1], keep="so")))
    with pytest.raises(ghostify.GhostifyError, match="without `channels`: pass `example`"):
        ghostify.convert(net, plan=plan)
