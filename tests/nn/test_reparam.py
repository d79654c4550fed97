import pytest
import torch
from torch import nn

from ghostify import GhostifyError, GhostModule
from ghostify.nn import GhostBottleneck, GhostBottleneckV3, GhostModuleV2, GhostModuleV3


@torch.no_grad()
def lived_in(module):
    for norm in filter(lambda m: isinstance(m, nn.BatchNorm2d), module.modules()):
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
        norm.weight.normal_()
        norm.bias.normal_()
    return module.double().eval()


def close(found, expected):
    return (found - expected).abs().max() <= 1e-12 * expected.abs().max()


@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("attend", [True, False])
def test_a_fused_ghost_module(relu, attend):
    branched = lived_in(GhostModuleV3(6, 8, relu=relu, attend=attend))
    x = torch.randn(2, 6, 9, 7, dtype=torch.float64)
    expected = branched(x)
    fused = branched.reparameterize()
    assert type(fused) is (GhostModuleV2 if attend else GhostModule)
    assert close(fused(x), expected)
    assert len(fused.primary_conv) == 1 + relu


@pytest.mark.parametrize("kernel_size", [3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(8, 8), (7, 9)])
def test_a_fused_bottleneck(kernel_size, stride, size):
    branched = lived_in(GhostBottleneckV3(8, 24, 12, kernel_size, stride, excite=True, attend=True))
    x = torch.randn(2, 8, *size, dtype=torch.float64)
    expected = branched(x)
    fused = branched.reparameterize()
    assert type(fused) is GhostBottleneck
    assert (fused.stride, fused.out_channels) == (stride, 12)
    assert close(fused(x), expected)


def test_the_sum_by_hand():
    """Batch norms of variance 3 and eps 1 halve: the primary weight is (1 + 2 + 3) / 2 = 3.

    The cheap kernel has (1 + 1 + 1) / 2 everywhere, and in its middle 4 / 2 of the 1 x 1 branch and
    1 / 2 of the batch norm alone.
    """
    branched = GhostModuleV3(1, 2, relu=False).eval()
    for norm in filter(lambda m: isinstance(m, nn.BatchNorm2d), branched.modules()):
        norm.running_var.fill_(3.0)
        norm.eps = 1.0
    for number, branch in enumerate(branched.primary_rpr_conv, 1):
        nn.init.constant_(branch.conv.weight, number)
    for branch in branched.cheap_rpr_conv:
        nn.init.ones_(branch.conv.weight)
    nn.init.constant_(branched.cheap_rpr_scale.conv.weight, 4.0)
    fused = branched.reparameterize()
    assert fused.primary_conv[0].weight.item() == pytest.approx(3.0)
    middle = torch.full((3, 3), 1.5)
    middle[1, 1] = 1.5 + 2 + 0.5
    assert torch.allclose(fused.cheap_operation[0].weight[0, 0], middle)
    assert fused.cheap_operation[0].bias.item() == 0


def test_branches_are_summed_in_training_too():
    """Each batch norm takes its branch by itself: three alike are three times one."""
    branched = GhostModuleV3(4, 2, relu=False).train()
    first = branched.primary_rpr_conv[0]
    for branch in branched.primary_rpr_conv:
        branch.load_state_dict(first.state_dict())
    x = torch.randn(8, 4, 5, 5)
    assert torch.allclose(branched(x)[:, :1], 3 * first(x), atol=1e-6)


def test_odd_outputs():
    with pytest.raises(GhostifyError, match="out_channels.*=7.* must be even"):
        GhostModuleV3(4, 7)
