"""Sensitivities against the effect of replacing a layer."""

import copy
from dataclasses import replace
from itertools import chain, groupby

import pytest
import torch
from torch import nn

import ghostify
from ghostify import GhostifyError, GhostSpec, Plan
from ghostify.conversion.init import layer_moments
from ghostify.evaluation.evaluate import agreement
from ghostify.planning.flops import count
from ghostify.types import Decision, Outputs

RATIOS = [GhostSpec(ratio, 3) for ratio in (1.25, 2, 4)]


def smooth(number, size=12):
    """Images with similar neighboring pixels."""
    noise = torch.randn(number, 3, size + 2, size + 2)
    return nn.functional.avg_pool2d(noise, 3, 1) * 3


def block(maps, out):
    return nn.Conv2d(maps, out, 3, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU()


@pytest.fixture
def images():
    return smooth(96)


@pytest.fixture
def net(images):
    """A classifier with BatchNorm statistics of the images and confident outputs.

    Its head tells places apart: errors at several places of a map add up as if by chance, as the
    diagonal of the Fisher information has it.
    """
    head = nn.AvgPool2d(2), nn.Flatten(), nn.Linear(16 * 36, 10)
    net = nn.Sequential(*block(3, 12), *block(12, 16), *block(16, 16), *head)
    for _ in range(20):
        net(images)
    with torch.no_grad():
        net[-1].weight.mul_(8).sub_(net[-1].weight.mean(0))  # as cross-entropy trains it
        net[-1].bias.sub_(net[-1].bias.mean())
    return net.eval()


@pytest.mark.parametrize(
    "use",
    [
        lambda net, x, found: ghostify.plan(net, x, budget="macs=0.8", sensitivity=found),
        lambda net, x, found: ghostify.convert(net, x, budget="macs=0.8", sensitivity=found),
        lambda net, x, found: ghostify.search(
            net, x, budget="macs=0.8", sensitivity=found, calibration=torch.rand(12, *x.shape[1:])
        ),
    ],
)
def test_it_is_of_one_network_and_of_one_input_size(small_net, use):
    """The totals that budgets are shares of, and the channels to drop first, depend on both."""
    image = torch.rand(1, 3, 16, 16)
    found = ghostify.sensitivity(small_net, image)
    assert found.input == "1x3x16x16"
    use(small_net, image, found)
    for shape in ((1, 3, 32, 32), (1, 3, 16, 24), (2, 3, 16, 16)):
        with pytest.raises(GhostifyError, match="measured on 1x3x16x16, not on .* measure it ag"):
            use(small_net, torch.rand(shape), found)
    use(small_net, image, replace(found, input="", weights=""))  # made by hand
    small_net.head.bias.data += 1
    with pytest.raises(GhostifyError, match="`sensitivity` was measured of other weights"):
        use(small_net, image, found)


def test_a_plan_of_untrained_weights_takes_a_sensitivity_of_trained_ones(small_net, image):
    found = ghostify.sensitivity(small_net, image)
    untrained = type(small_net)()
    assert ghostify.plan(untrained, image, budget="macs=0.8", sensitivity=found).changed
    assert ghostify.plan(
        small_net.to("meta"), image.to("meta"), budget="macs=0.8", sensitivity=found
    ).changed


def test_filters_of_zeros_lose_nothing():
    """NFNets initialize the last convolution of each block to zeros; no BatchNorm follows it."""
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3), nn.Conv2d(8, 8, 3))
    nn.init.zeros_(net[1].weight)
    found = ghostify.sensitivity(net, torch.randn(1, 3, 16, 16), candidates=RATIOS)
    assert set(found.layers["1"].values()) == {0.0}
    assert found.layers["2"][RATIOS[2]] > 0


@pytest.mark.parametrize("on_data", [True, False])
def test_sensitivity_rises_with_the_ratio(net, images, on_data):
    data = images if on_data else None
    found = ghostify.sensitivity(net, images[:1], calibration=data, candidates=RATIOS)
    assert list(found.layers) == ["0", "3", "6"]
    assert found.measured == on_data
    for increases in found.layers.values():
        assert list(increases) == RATIOS
        assert 0 < increases[RATIOS[0]] < increases[RATIOS[1]] < increases[RATIOS[2]]


@pytest.mark.parametrize("name", ["0", "3", "6"])
def test_it_is_the_divergence_that_the_site_alone_causes(net, images, name):
    spec = GhostSpec(1.5, 3)
    found = ghostify.sensitivity(net, images[:1], calibration=images, candidates=[spec]).of(
        name, spec
    )
    plan = Plan(
        tuple(
            Decision(site, ghost=spec) if site.name == name else Decision(site, keep="alone")
            for site in ghostify.analyze(net, images[:1])
        )
    )
    converted = ghostify.convert(net, images[:1], plan=plan, calibration=images)
    alone = copy.deepcopy(net)  # with nothing else refitted than the mean of the batch norm
    for place in (int(name), int(name) + 1):
        alone[place] = converted[place]
    outputs = Outputs.find(converted)
    assert outputs[0].kind == "classes"
    assert found / 3 < agreement(net, alone, [images], outputs).kl < found * 3


def test_layers_beyond_the_memory_take_another_pass(net, images, monkeypatch):
    found = ghostify.sensitivity(net, images[:1], calibration=images)
    monkeypatch.setattr(layer_moments, "_MAX_BYTES", 1)
    details = []
    again = ghostify.sensitivity(
        net, images[:1], calibration=images, progress=lambda step: details.append(step.detail)
    )
    assert again == found
    assert [detail for detail, _ in groupby(details)] == [
        "Fisher information",
        *chain.from_iterable(("feature maps", name) for name in ("0", "3", "6", "11")),
    ]


def test_totals_are_those_of_the_whole_network(small_net, image):
    found = ghostify.sensitivity(small_net, image)
    costs = count(small_net, image)
    assert found.totals == {"macs": costs.conv_and_linear_macs, "params": costs.params}
    assert found.totals["params"] == sum(p.numel() for p in small_net.parameters())


def test_units(small_net, image):
    estimated = ghostify.sensitivity(small_net, image)
    assert (estimated.unit, estimated.measured) == ("share of the filters", False)
    units = {"classes": "KL (nats)", "multilabel": "KL (nats)", "values": "relative error"}
    for kind, unit in units.items():
        measured = ghostify.sensitivity(small_net, image, calibration=smooth(8, 16), outputs=kind)
        assert (measured.unit, measured.measured) == (unit, True)
    assert all(0 <= d <= 1 for by in estimated.layers.values() for d in by.values())


def test_the_model_stays_unchanged_and_results_repeat(small_net, image):
    small_net.train()
    before = copy.deepcopy(small_net.state_dict())
    data = smooth(12, 16)
    first = ghostify.sensitivity(small_net, image, calibration=data)
    assert ghostify.sensitivity(small_net, image, calibration=data) == first
    assert small_net.training
    assert not any(m._forward_hooks for m in small_net.modules())
    assert all(torch.equal(before[name], t) for name, t in small_net.state_dict().items())


def test_progress_names_each_site(small_net, image):
    steps = []
    ghostify.sensitivity(
        small_net,
        image,
        calibration=smooth(4, 16),
        progress=lambda step: steps.append((step.detail, step.done, step.total)),
    )
    assert steps == [
        ("Fisher information", 0, 4),
        ("feature maps", 1, 4),
        ("stem", 2, 4),
        ("wide", 3, 4),
        ("project", 4, 4),
    ]


class Detector(nn.Module):
    """Takes inputs by name; outputs boxes and scores per position."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(*block(3, 12), *block(12, 16))
        self.boxes, self.scores = nn.Conv2d(16, 8, 1), nn.Conv2d(16, 6, 1)

    def forward(self, image, scale):
        maps = self.body(image * scale)
        boxes = self.boxes(maps).permute(0, 2, 3, 1).reshape(len(maps), -1, 4)
        return {"boxes": boxes, "scores": self.scores(maps), "count": torch.tensor(boxes.shape[1])}


def test_outputs_of_a_detector_and_inputs_by_name():
    example = {"image": smooth(1), "scale": torch.ones(1, 1, 1, 1)}
    data = [{"image": smooth(4), "scale": torch.full((4, 1, 1, 1), 2.0)} for _ in range(3)]
    found = ghostify.sensitivity(Detector().eval(), example, calibration=data)
    assert set(found.layers) == {"body.0", "body.3", "boxes", "scores"}
    assert all(0 < d < 10 for by in found.layers.values() for d in by.values())


def test_a_network_without_replaceable_layers(image):
    model = nn.Sequential(nn.Conv2d(3, 3, 3, groups=3), nn.Flatten())
    for data in (None, smooth(4, 16)):
        found = ghostify.sensitivity(model, image, calibration=data)
        assert found.layers == {}
        assert found.totals["macs"] == 3 * 9 * 14 * 14


def test_a_ratio_that_replaces_no_filter_is_not_listed(image):
    few = nn.Sequential(nn.Conv2d(3, 3, 3), nn.Conv2d(3, 8, 3))
    found = ghostify.sensitivity(few, image, candidates=[GhostSpec(1.25, 3)])
    assert found.layers == {"0": {}, "1": found.layers["1"]}
    assert len(found.layers["1"]) == 1


def test_data_that_does_not_fit(small_net, image):
    with pytest.raises(GhostifyError, match="channel count of 4 instead of 3"):
        ghostify.sensitivity(small_net, image, calibration=torch.zeros(8, 4, 16, 16))
