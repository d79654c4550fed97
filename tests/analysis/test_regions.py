"""Which layers share the channels of a convolution, and why those of others cannot be dropped."""

import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional as F

import ghostify
from ghostify import GhostModule
from ghostify.analysis.dataflow import trace_dataflow
from ghostify.analysis.regions import NoRegionError, find_region
from ghostify.types.region import Region


class Net(nn.Module):
    def __init__(self, forward, **layers):
        super().__init__()
        self.first = nn.Conv2d(3, 6, 3, padding=1)
        self.before = nn.Conv2d(3, 6, 1)
        self.norm = nn.BatchNorm2d(6)
        self.depthwise = nn.Conv2d(6, 6, 3, padding=1, groups=6)
        self.grouped = nn.Conv2d(6, 6, 1, groups=2)
        self.conv = nn.Conv2d(6, 5, 3)
        self.square = nn.Conv2d(6, 6, 1)
        self.ghost = GhostModule(6, 4, 3)
        self.linear = nn.Linear(6, 5)
        self.gate = nn.Linear(2, 6)
        self.squeeze = nn.Linear(6, 2)
        self.wide = nn.Linear(6 * 64, 5)
        self.rows = nn.Linear(8, 2)
        self.scale = nn.Parameter(torch.randn(6, 1, 1))
        self.factor = nn.Parameter(torch.randn(1))
        for name, layer in layers.items():
            setattr(self, name, layer)
        self.run = forward

    def forward(self, x):
        return self.run(self, x)


def region_of(name, forward, **layers):
    net = Net(forward, **layers)
    return find_region(net, trace_dataflow(net, torch.randn(2, 3, 8, 8)), name)


def region(forward, **layers):
    return region_of("first", lambda m, x: forward(m, m.first(x)), **layers)


def reason(forward, **layers):
    with pytest.raises(NoRegionError) as error:
        region(forward, **layers)
    return str(error.value)


def squeeze_and_excitation(m, y):
    gate = m.gate(m.squeeze(y.mean((2, 3))).relu()).sigmoid()
    return m.conv(y * gate.view(*gate.shape, 1, 1).expand_as(y))


READ = {
    "a convolution": (lambda m, y: m.conv(y.relu()), {"readers": {"conv": 1}}),
    "two": (
        lambda m, y: m.conv(y.relu()).sum() + m.ghost(F.silu(y)).sum(),
        {"readers": {"ghost.primary_conv.0": 1, "conv": 1}},
    ),
    "along the way": (
        lambda m, y: m.conv(F.relu6(m.depthwise(m.norm(y).relu()))),
        {"channelwise": ("norm", "depthwise"), "readers": {"conv": 1}, "params": 2},
    ),
    "pooled": (
        lambda m, y: m.linear(F.max_pool2d(y, 2).mean((2, 3))),
        {"readers": {"linear": 1}, "params": 5, "macs": 2 * 5},
    ),
    "mean, one dimension at a time": (
        lambda m, y: m.linear(y.mean(3).mean(2)),
        {"readers": {"linear": 1}, "params": 5, "macs": 2 * 5},
    ),
    "flattened": (
        lambda m, y: m.wide(F.dropout(y, 0.5, False).flatten(1)),
        {"readers": {"wide": 64}, "params": 5 * 64, "macs": 2 * 5 * 64},
    ),
    "squeezed": (
        lambda m, y: m.linear(F.adaptive_avg_pool2d(y, 1).squeeze(-1).squeeze(-1)),
        {"readers": {"linear": 1}, "params": 5, "macs": 2 * 5},
    ),
    "in place": (lambda m, y: m.conv(m.norm(y).relu_()), {"channelwise": ("norm",), "params": 2}),
    "scaled": (lambda m, y: m.conv(y * m.factor + 1), {"readers": {"conv": 1}}),
    "masked": (lambda m, y: m.conv(y * torch.ones(1, 1, 8, 8)), {"readers": {"conv": 1}}),
    "its own factor": (lambda m, y: m.conv(y * F.relu6(y + 3) / 6), {"readers": {"conv": 1}}),
    "squeeze and excitation": (
        squeeze_and_excitation,
        {"gates": ("gate",), "readers": {"squeeze": 1, "conv": 1}, "params": 2 + 2 + 1, "macs": 8},
    ),
    "a gate that reads it": (
        lambda m, y: m.conv(y * m.square(y).sigmoid()),
        {"gates": ("square",), "readers": {"square": 1, "conv": 1}},
    ),
}  # fmt: skip
NOT_ALONE = {
    "an output of the network": lambda m, y: y.relu(),
    "added to other feature maps": lambda m, y: m.conv(y + m.square(y)),
    "multiplied by other feature maps": lambda m, y: m.conv(y * m.scale),
    "concatenated with other feature maps": lambda m, y: torch.cat([m.square(y), y], 1),
    "read by slice": lambda m, y: m.conv(y[:, :, 1:]),
    "read by softmax": lambda m, y: m.conv(y.softmax(1)),
    "read by permute": lambda m, y: m.linear(y.permute(0, 2, 3, 1)),
    "read by group_norm": lambda m, y: m.conv(F.group_norm(y, 3)),
    "read by mean": lambda m, y: y.mean(1),
    "read by max_pool2d_with_indices for its indices": lambda m, y: (
        lambda maps, indices: m.conv(maps).sum() + indices.sum()
    )(*F.max_pool2d(y, 2, return_indices=True)),
    "read by grouped, a grouped convolution": lambda m, y: m.grouped(y),
    "read by conv, whose parameters are read elsewhere": lambda m, y: m.conv(y) * m.conv.bias[0],
    "read by conv, which reads other feature maps too": lambda m, y: (
        m.conv(y).sum() + m.conv(m.square(y)).sum()
    ),
    "read by rows in another shape": lambda m, y: m.rows(y),
}  # fmt: skip


@pytest.mark.parametrize("case", READ)
def test_what_shares_the_channels(case):
    forward, expected = READ[case]
    found = region(forward)
    assert {name: getattr(found, name) for name in expected} == expected
    others = {"channelwise", "gates", "params", "macs"} - expected.keys()
    assert all(not getattr(found, name) for name in others)


@pytest.mark.parametrize("why", NOT_ALONE)
def test_why_they_cannot_be_dropped(why):
    assert reason(NOT_ALONE[why]).startswith(why)


def test_a_layer_with_hooks():
    conv = nn.Conv2d(6, 5, 3)
    conv.register_forward_hook(lambda *_: None)
    assert reason(lambda m, y: m.conv(y), conv=conv) == "read by conv, which has hooks"


def test_a_norm_with_an_activation():
    layers = pytest.importorskip("timm.layers")
    norm = layers.BatchNormAct2d(6, act_layer=nn.SiLU)
    assert region(lambda m, y: m.conv(m.norm(y)), norm=norm).channelwise == ("norm",)
    norm.act = nn.PReLU(6)
    assert reason(lambda m, y: m.conv(m.norm(y)), norm=norm) == "read by norm, a BatchNormAct2d"


def test_learned_slopes():
    def forward(m, y):
        return m.conv(m.act(y))

    each = region(forward, act=nn.PReLU(6))
    assert (each.channelwise, each.params) == (("act",), 1)

    def twice(m, y):
        return m.conv(m.act(y)) + m.conv2(m.act(m.square(y)))

    conv2 = nn.Conv2d(6, 5, 3)
    assert region(twice, act=nn.PReLU(), conv2=conv2).channelwise == ()
    found = reason(twice, act=nn.PReLU(6), conv2=conv2)
    assert found == "read by act, which reads other feature maps too"


def test_a_convolution_that_pads_by_itself():
    layers = pytest.importorskip("timm.layers")
    conv = layers.Conv2dSame(6, 5, 3, stride=2)
    assert region(lambda m, y: m.conv(y), conv=conv).readers == {"conv": 1}


def test_a_linear_layer_of_timm():
    layers = pytest.importorskip("timm.layers")
    linear = layers.Linear(6, 5)
    assert region(lambda m, y: m.linear(y.mean((2, 3))), linear=linear).readers == {"linear": 1}


def test_a_convolution_that_standardizes_its_weight():
    layers = pytest.importorskip("timm.layers")
    conv = layers.StdConv2d(6, 5, 3)
    assert reason(lambda m, y: m.conv(y), conv=conv) == "read by conv, a StdConv2d"


def test_of_two_factors_the_first_has_the_region():
    def forward(m, x):
        return m.conv(m.first(x) * m.before(x).sigmoid())

    assert region_of("first", forward).gates == ("before",)
    with pytest.raises(NoRegionError, match="multiplied by the feature maps of first"):
        region_of("before", forward)


def test_gates_that_others_read():
    def forward(m, y):
        gate = m.square(y.mean((2, 3), True))
        return m.conv(y * gate) * gate.sum(1, True)

    assert reason(forward) == "read by sum"


def regions(model, size=64):
    sites = ghostify.analyze(model.eval(), torch.zeros(1, 3, size, size))
    assert all((site.region is None) == (site.unprunable is not None) for site in sites)
    return {site.name: site.region for site in sites if site.region is not None}, {
        site.name: site.unprunable for site in sites if site.unprunable is not None
    }


def test_a_residual_network():
    found, reasons = regions(torchvision.models.resnet18())
    assert list(found) == [f"layer{i}.{j}.conv1" for i in (1, 2, 3, 4) for j in (0, 1)]
    assert set(reasons.values()) == {"added to other feature maps"}
    assert found["layer1.0.conv1"] == Region(
        channelwise=("layer1.0.bn1",), readers={"layer1.0.conv2": 1}, params=2
    )


def test_a_mobile_network_with_squeeze_and_excitation():
    found, reasons = regions(torchvision.models.efficientnet_b0())
    block = "features.2.0.block"
    assert found[f"{block}.0.0"] == Region(
        channelwise=(f"{block}.0.1", f"{block}.1.0", f"{block}.1.1"),
        gates=(f"{block}.2.fc2",),
        readers={f"{block}.2.fc1": 1, f"{block}.3.0": 1},
        params=4,
    )
    assert found[f"{block}.2.fc1"].readers == {f"{block}.2.fc2": 1}
    assert reasons[f"{block}.1.0"] == "depthwise"
    assert reasons[f"{block}.2.fc2"] == f"a gate of {block}.0.0, whose channels it has"


def test_a_network_without_shortcuts():
    found, _ = regions(torchvision.models.vgg11_bn())
    assert len(found) == 8
    assert found["features.25"].readers == {"classifier.0": 49}


def test_one_channel_is_not_dropped():
    net = nn.Sequential(nn.Conv2d(3, 1, 3), nn.Conv2d(1, 4, 3))
    assert regions(net)[1]["0"] == "it has one output channel"


@pytest.mark.parametrize("side", [8, 6])  # the layer has six channels
def test_feature_maps_without_a_batch(side):
    with pytest.raises(NoRegionError, match="called without a batch dimension"):
        region_of("first", lambda m, x: m.conv(m.first(x[0, :, :side, :side])))
