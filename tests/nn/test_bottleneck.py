import pytest
import torch
from torch import nn

from ghostify import GhostifyError, GhostModule
from ghostify.nn import GhostBottleneck, SqueezeExcite


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("size", "halved"), [((8, 8), (4, 4)), ((7, 9), (4, 5))])
def test_shapes(stride, size, halved):
    block = GhostBottleneck(16, 48, 24, 5, stride, excite=True)
    assert block(torch.randn(2, 16, *size)).shape == (2, 24, *(halved if stride == 2 else size))


def test_where_sizes_agree_the_shortcut_is_the_identity():
    block = GhostBottleneck(16, 32, 16).eval()
    assert isinstance(block.shortcut, nn.Identity)
    for module in block.ghost2.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data.zero_()
    x = torch.randn(1, 16, 6, 6)
    assert torch.equal(block(x), x)


def test_no_activation_at_the_end():
    block = GhostBottleneck(16, 32, 24).eval()
    assert block(torch.randn(1, 16, 9, 9)).min() < 0


def test_its_ghost_modules_are_those_of_the_authors_code():
    block = GhostBottleneck(16, 48, 24)
    assert all(isinstance(ghost, GhostModule) for ghost in (block.ghost1, block.ghost2))
    kinds = [type(layer).__name__ for layer in block.ghost1.cheap_operation]
    assert kinds == ["CheapOperation", "BatchNorm2d", "ReLU"]
    assert len(block.ghost2.primary_conv) == 2


def test_parameters_by_hand():
    """Stride 2, 16 -> 48 -> 24, k = 3, each batch norm with 2 a channel.

    ghost1: 16*24 + 9*24 + 2*48 = 696; depthwise: 9*48 + 2*48 = 528;
    ghost2: 48*12 + 9*12 + 2*24 = 732; shortcut: 9*16 + 2*16 + 16*24 + 2*24 = 608.
    """
    block = GhostBottleneck(16, 48, 24, 3, 2)
    assert sum(p.numel() for p in block.parameters()) == 696 + 528 + 732 + 608


def test_excitation_stands_between_the_ghost_modules():
    block = GhostBottleneck(16, 48, 24, excite=True)
    assert isinstance(block.se, SqueezeExcite)
    assert block.se.conv_expand.out_channels == 48


@pytest.mark.parametrize(("kernel_size", "stride"), [(3, 3), (3, 0), (4, 1), (0, 1)])
def test_other_sizes_are_refused(kernel_size, stride):
    with pytest.raises(GhostifyError, match="must be"):
        GhostBottleneck(16, 32, 16, kernel_size, stride)
