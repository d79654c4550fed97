"""Which batch norms are folded away, and which must stay."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations
from torchvision.ops import FrozenBatchNorm2d

import ghostify
from ghostify import GhostModule
from ghostify.types import DeploymentReport


def seen_data(model):
    """Random statistics, scales and shifts; some channels are off."""
    for norm in model.modules():
        if hasattr(norm, "running_mean"):
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.3, 3)
            norm.weight.data.normal_()[::3] = 0
            norm.bias.data.normal_()
    return model.eval()


def deployed(model, example):
    """What was folded, after a check of the outputs on other inputs."""
    form = ghostify.deploy(model, example)
    other = torch.randn_like(example)
    with torch.no_grad():
        torch.testing.assert_close(form(other), model(other), rtol=1e-4, atol=1e-4)
    return form, DeploymentReport.find(form)


IMAGE = torch.randn(2, 3, 9, 9)


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(3, 6, 3),
        nn.Conv2d(3, 6, 3, bias=False, stride=2, padding=1, padding_mode="reflect"),
        nn.Conv2d(3, 6, 3, groups=3),
        GhostModule(3, 6, 3, padding=1),
        GhostModule(3, 7, 1, ratio=3, dw_size=5, bias=False),
        GhostModule(3, 6, 1, dw_size=1),
    ],
    ids=str,
)
def test_into_a_layer(layer):
    norm = nn.BatchNorm2d(layer.out_channels)
    form, found = deployed(seen_data(nn.Sequential(layer, norm, nn.ReLU())), IMAGE)
    assert found == DeploymentReport(folded_norms=("1",))
    assert isinstance(form[1], nn.Identity)


def test_into_a_linear_layer():
    net = nn.Sequential(nn.Flatten(), nn.Linear(243, 5), nn.BatchNorm1d(5))
    assert deployed(seen_data(net), IMAGE)[1].folded_norms == ("2",)


def test_frozen():
    net = nn.Sequential(nn.Conv2d(3, 6, 1), FrozenBatchNorm2d(6))
    assert deployed(seen_data(net), IMAGE)[1].folded_norms == ("1",)


def test_one_with_an_activation_of_its_own():
    layers = pytest.importorskip("timm.layers")
    net = nn.Sequential(nn.Conv2d(3, 6, 1), layers.BatchNormAct2d(6))
    assert deployed(seen_data(net), IMAGE)[1].folded_norms == ("1",)


def test_into_a_convolution_that_pads_by_itself():
    layers = pytest.importorskip("timm.layers")
    net = nn.Sequential(layers.Conv2dSame(3, 6, 3, stride=2), nn.BatchNorm2d(6))
    assert deployed(seen_data(net), IMAGE)[1].folded_norms == ("1",)


def test_inside_of_the_activated_flavor():
    net = nn.Sequential(GhostModule(3, 7, 3, norm=nn.BatchNorm2d, activation=nn.ReLU))
    form, _ = deployed(seen_data(net), IMAGE)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in form.modules())


def test_not_behind_the_activated_flavor():
    ghost = GhostModule(3, 6, 3, norm=nn.BatchNorm2d, activation=nn.ReLU)
    _, found = deployed(seen_data(nn.Sequential(ghost, nn.BatchNorm2d(6))), IMAGE)
    assert (found.folded_norms, found.remaining_norms) == ((), ("1",))


class Standardized(nn.Conv2d):
    def forward(self, x):
        weight = self.weight / self.weight.std((1, 2, 3), keepdim=True)
        return self._conv_forward(x, weight, self.bias)


def hooked():
    conv = nn.Conv2d(3, 6, 1)
    conv.register_forward_hook(lambda module, args, output: None)
    return conv


@pytest.mark.parametrize(
    "layer",
    [
        Standardized(3, 6, 3),
        parametrizations.weight_norm(nn.Conv2d(3, 6, 1)),
        hooked(),
        nn.ConvTranspose2d(3, 6, 2),
    ],
    ids=["standardized", "parametrized", "hooked", "transposed"],
)
def test_not_into_layers_that_are_not_plain(layer):
    _, found = deployed(seen_data(nn.Sequential(layer, nn.BatchNorm2d(6))), IMAGE)
    assert (found.folded_norms, found.remaining_norms) == ((), ("1",))


class Shared(nn.Module):
    def __init__(self, forward):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 1)
        self.ghost = GhostModule(3, 6, 3, padding=1)
        self.norm, self.second = nn.BatchNorm2d(6), nn.BatchNorm2d(6)
        self.run = forward

    def forward(self, x):
        return self.run(self, x)


@pytest.mark.parametrize(
    "forward",
    [
        lambda m, x: m.norm(m.conv(x)) + m.second(m.conv(x * 2)),
        lambda m, x: m.norm(m.ghost(x)) + m.second(m.ghost(x * 2)),
        lambda m, x: m.norm(m.conv(x)) + m.norm(m.ghost(x)),
        lambda m, x: m.norm(m.conv(x)) + m.conv.weight.sum(),
        lambda m, x: (lambda y: m.norm(y) + y)(m.ghost(x)),
    ],
    ids=["a conv of two norms", "a ghost of two norms", "a norm of two layers", "a weight", "maps"],
)
def test_not_what_is_shared(forward):
    assert deployed(seen_data(Shared(forward)), IMAGE)[1].folded_norms == ()


def test_a_pair_that_is_called_twice():
    net = Shared(lambda m, x: m.norm(m.ghost(x)) + m.norm(m.ghost(x * 2)))
    assert deployed(seen_data(net), IMAGE)[1].folded_norms == ("norm",)


def test_not_between_kinds_of_numbers():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 6, 1, dtype=torch.bfloat16)
            self.norm = nn.BatchNorm2d(6)

        def forward(self, x):
            return self.norm(self.conv(x.bfloat16()))

    assert deployed(seen_data(Net()), IMAGE)[1].folded_norms == ()


@pytest.mark.parametrize("layer", [nn.Conv2d(3, 6, 1), GhostModule(3, 6, 1)], ids=["conv", "ghost"])
def test_not_a_norm_with_a_hook(layer):
    """The hook may want what the norm computes."""
    norm = nn.BatchNorm2d(6)
    norm.register_forward_hook(lambda module, args, output: None)
    _, found = deployed(seen_data(nn.Sequential(layer, norm)), IMAGE)
    assert (found.folded_norms, found.remaining_norms) == ((), ("1",))
