import pytest
import torch
from torch import nn
from torchvision.models import get_model

import ghostify
from ghostify import GhostifyError, GhostModule
from ghostify.planning.flops import count


def test_a_small_network_by_hand(small_net, image):
    found = count(small_net, image)
    convolutions = 256 * 16 * 27 + 64 * 32 * 16 * 9 + 64 * 32 * 9 + 64 * 32 * 32
    assert found.macs["conv"] == convolutions
    assert found.macs["linear"] == 320
    assert found.conv_and_linear_macs == convolutions + 320
    assert found.total_macs == found.conv_and_linear_macs + found.macs["batch_norm"]
    assert found.params == sum(p.numel() for p in small_net.parameters())
    assert found.weight_bytes == 4 * found.params


def test_weight_bytes_follow_the_type(small_net, image):
    assert count(small_net.bfloat16(), image.bfloat16()).weight_bytes == 2 * sum(
        p.numel() for p in small_net.parameters()
    )


@pytest.mark.parametrize("ratio", [2, 3, 5])
@pytest.mark.parametrize("dw_size", [1, 3, 5])
def test_a_ghost_module(ratio, dw_size):
    module = GhostModule(6, 20, 3, padding=1, ratio=ratio, dw_size=dw_size)
    model = nn.Sequential(module, nn.Hardswish())
    intrinsic = -(-20 // ratio)
    expected = 64 * (intrinsic * 54 + (20 - intrinsic) * dw_size**2)
    assert count(model, torch.zeros(1, 6, 8, 8)).total_macs == expected


class Scaled(nn.Module):
    def forward(self, x):
        return x * 2 * x


def test_other_multiplications_cost_nothing_as_fvcore_has_it():
    model = nn.Sequential(GhostModule(2, 4, 1, dw_size=1), Scaled())
    assert count(model, torch.zeros(1, 2, 3, 3)).total_macs == 9 * (2 * 2 + 2)


def test_padding_by_name_is_counted():
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding="same"), nn.Conv2d(4, 4, 3, padding="valid"))
    assert count(model, torch.zeros(2, 3, 8, 8)).total_macs == 2 * (64 * 4 * 27 + 36 * 4 * 36)


def test_operators_without_a_rule_are_uncounted(small_net, image):
    assert count(small_net, image).uncounted == {"aten::add": 1, "aten::mean": 1}


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize(("dw_size", "bias"), [(3, True), (1, True), (1, False)])
def test_all_of_a_ghost_module_is_counted(dw_size, bias, alone):
    """With several blocks of ghosts, the last one trimmed, an order and two calls."""
    ghost = GhostModule(8, 8, 3, padding=1, bias=bias, ratio=3, dw_size=dw_size)
    ghost.order = torch.randperm(8)
    model = ghost if alone else nn.Sequential(ghost, ghost)
    assert count(model, torch.zeros(1, 8, 6, 6)).uncounted == {}


def test_operators_inside_a_ghost_module_of_its_user_are_uncounted():
    class Doubled(nn.Module):
        def forward(self, x):
            return x.index_select(-3, torch.arange(x.shape[-3])) * 2

    ghost = GhostModule(3, 8, 3, dw_size=1, activation=Doubled)
    found = count(nn.Sequential(ghost, Doubled()), torch.zeros(1, 3, 6, 6)).uncounted
    assert (found["aten::index_select"], found["aten::mul"]) == (3, 3)


class Named(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)

    def forward(self, *, pixels, mask):
        return self.conv(pixels) * mask


def test_inputs_by_keyword():
    example = {"mask": torch.ones(1), "pixels": torch.zeros(1, 3, 5, 5)}
    assert count(Named(), example).total_macs == 25 * 12


def test_the_model_is_as_before(small_net, image):
    small_net.train()
    small_net.norm.eval()
    state = {name: value.clone() for name, value in small_net.state_dict().items()}
    count(small_net, image)
    assert small_net.training
    assert not small_net.norm.training
    assert all(torch.equal(state[name], value) for name, value in small_net.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in small_net.modules())


def test_a_failed_count_leaves_no_hooks(small_net):
    with pytest.raises(GhostifyError, match="SmallNet does not run on .* 1x4x9x9: at stem"):
        count(small_net, torch.zeros(1, 4, 9, 9))
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in small_net.modules())


def test_the_formula_agrees_with_fvcore(small_net, image):
    converted = ghostify.convert(small_net, image)
    report = ghostify.compare(small_net, converted, image)
    kept = sum(kept.macs[0] for kept in report.kept)
    assert report.changed_macs[0] + kept == report.before.macs["conv"]
    assert report.changed_macs[1] + kept == report.after.macs["conv"]


NETWORKS = ["resnet18", "mobilenet_v3_small", "googlenet", "densenet121", "squeezenet1_1"]


@pytest.mark.parametrize("dw_size", [1, 3])
@pytest.mark.parametrize("name", NETWORKS)
def test_both_counters_agree(name, dw_size):
    options = {"init_weights": False} if name == "googlenet" else {}
    model, example = get_model(name, weights=None, **options), torch.zeros(1, 3, 64, 64)
    ghost = ghostify.convert(model, example, dw_size=dw_size, verify=False)
    for network in (model, ghost):
        by_fvcore, by_torch = (count(network, example, counter=c) for c in ("fvcore", "torch"))
        assert by_fvcore.counter == "fvcore"
        assert by_fvcore.conv_and_linear_macs == by_torch.conv_and_linear_macs


def test_multiplications_of_the_model_stay_uncounted(small_net, image):
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3))

        def forward(self, x):
            return self.net(x * 2)

    ghost = ghostify.convert(Scaled(), image, dw_size=1)
    assert count(ghost, image).uncounted["aten::mul"] == 1
