"""Networks that are trained with branches, and bring the methods that merge them."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

import ghostify
from ghostify import GhostifyError
from ghostify.deployment.merge_branches import merge_branches
from ghostify.deployment.reparameterize import branches
from ghostify.types.errors import GhostifyWarning


def conv(size):
    layer = nn.Conv2d(8, 8, size, padding=size // 2, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(8))


class Branched(nn.Module):
    """The sum of a 3x3 and a 1x1 convolution, until ``merge``."""

    def __init__(self):
        super().__init__()
        self.wide, self.narrow = conv(3), conv(1)

    def forward(self, x):
        return self.rep(x) if hasattr(self, "rep") else self.wide(x) + self.narrow(x)

    def forward_merged(self, x):
        return self.rep(x)

    def merge(self):
        assert not self.training
        nn.Conv2d(8, 8, 1)  # draws random numbers
        found, other = (fuse_conv_bn_eval(*branch) for branch in (self.wide, self.narrow))
        found.weight.data += F.pad(other.weight.data, [1, 1, 1, 1])
        found.bias.data += other.bias.data
        self.rep = found.requires_grad_(False)
        del self.wide, self.narrow


class InPlace(Branched):  # MobileOne, FastViT
    reparameterize = Branched.merge


class Deployed(Branched):  # RepVGG
    switch_to_deploy = Branched.merge


class Returned(Branched):  # LeViT, RepViT
    def fuse(self):
        self.merge()
        return self.rep


class Fused(Branched):  # Ultralytics
    fuse_convs = Branched.merge
    forward_fuse = Branched.forward_merged

    def forward(self, x):
        return self.wide(x) + self.narrow(x)


class Whole(nn.Sequential):  # Ultralytics' networks
    def fuse(self, verbose=True):
        assert not verbose
        for module in self:
            module.fuse_convs()
            module.forward = module.forward_fuse
        return self

    def is_fused(self):
        return True


class Quantizable(Branched):  # torchvision
    def fuse_model(self, is_qat=None):
        self.merge()


class QuantizableNetwork(nn.Sequential):
    def fuse_model(self, is_qat=None):
        for module in self:
            module.fuse_model(is_qat)


class Nested(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.ModuleList([InPlace(), nn.Sequential(Returned())])

    def forward(self, x):
        for module in self.inner:
            x = module(x)
        return x


MAKE = {
    "in place": InPlace,
    "deployed": Deployed,
    "returned": lambda: nn.Sequential(Returned()),
    "the network is returned": Returned,
    "fused": lambda: nn.Sequential(Fused(), nn.ReLU()),
    "whole": lambda: Whole(Fused(), Fused()),
    "quantizable": lambda: QuantizableNetwork(Quantizable()),
    "nested": Nested,
}
IMAGE = torch.rand(2, 8, 6, 6, generator=torch.Generator().manual_seed(0))


def used(network):
    """Give the norms statistics."""
    for _ in range(3):
        network(torch.randn(8, 8, 6, 6))
    return network.eval()


@pytest.mark.parametrize("kind", MAKE)
def test_the_outputs_stay_and_one_convolution_is_left_of_two(kind):
    network = used(MAKE[kind]())
    state, expected = torch.get_rng_state(), network(IMAGE)
    merged = ghostify.reparameterize(network, IMAGE)
    torch.testing.assert_close(merged(IMAGE), expected, rtol=1e-4, atol=1e-5)
    convs = [m for m in merged.modules() if isinstance(m, nn.Conv2d)]
    blocks = [m for m in network.modules() if isinstance(m, Branched)]
    assert [c.kernel_size for c in convs] == [(3, 3)] * len(blocks)
    assert all(hasattr(block, "narrow") for block in blocks)
    assert torch.equal(torch.get_rng_state(), state)
    assert len(branches(network, IMAGE)) == 2 * len(blocks)


@pytest.mark.parametrize("kind", MAKE)
@pytest.mark.parametrize("training", [True, False])
def test_mode_and_flags_are_those_of_the_network(kind, training):
    network = used(MAKE[kind]()).train(training)
    merged = ghostify.reparameterize(network)
    assert all(module.training == training for module in merged.modules())
    assert all(parameter.requires_grad for parameter in merged.parameters())
    frozen = ghostify.reparameterize(network.requires_grad_(False))
    assert not any(parameter.requires_grad for parameter in frozen.parameters())


def test_what_is_made_of_frozen_branches_is_frozen():
    network = used(nn.Sequential(InPlace(), Returned()))
    network[0].requires_grad_(False)
    merged = ghostify.reparameterize(network)
    assert {name: p.requires_grad for name, p in merged.named_parameters()} == {
        "0.rep.weight": False, "0.rep.bias": False, "1.weight": True, "1.bias": True
    }  # fmt: skip


def test_modules_with_hooks_stay_and_the_others_are_merged():
    network = used(Whole(Fused(), Fused()))
    network[0].register_forward_hook(lambda *_: None)
    merged = ghostify.reparameterize(network, IMAGE)
    assert [hasattr(block, "narrow") for block in merged] == [True, False]


def test_a_method_that_wants_arguments_is_another():
    class Text(Branched):
        def fuse(self, embeddings):
            raise AssertionError

        reparameterize = None

    network = used(nn.Sequential(Text()))
    merged = ghostify.reparameterize(network, IMAGE)
    assert merged.state_dict().keys() == network.state_dict().keys()
    assert branches(network, IMAGE) == set()


class Wrong(Branched):
    def reparameterize(self):
        self.merge()
        self.rep.bias.data += 1


def test_a_merge_that_changes_the_outputs_is_refused():
    network = used(nn.Sequential(Wrong()))
    with pytest.raises(GhostifyError, match="merging the branches of Sequential changes its out"):
        ghostify.reparameterize(network, IMAGE)
    assert ghostify.reparameterize(network)


def test_a_network_whose_branches_were_converted_cannot_be_merged():
    network = used(nn.Sequential(conv(3), InPlace()))
    with pytest.warns(GhostifyWarning, match="merge them first, with ghostify.reparameterize"):
        ghost = ghostify.convert(network, IMAGE, include="1.wide.0")
    with pytest.raises(GhostifyError, match=r"^1 \(InPlace\) cannot be merged: a GhostModule has"):
        ghostify.reparameterize(ghost)
    assert branches(ghost, IMAGE) == set()


def test_folded_norms_are_no_branches():
    class Folded(nn.Sequential):
        def fuse(self):
            return fuse_conv_bn_eval(*self)

    network = used(nn.Sequential(Folded(*conv(3))))
    assert [type(m) for m in merge_branches(network)] == [nn.Conv2d]
    assert branches(used(nn.Sequential(Folded(*conv(3)))), IMAGE) == set()


@pytest.mark.parametrize(
    "name",
    [
        "repvit_m0_9",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("repvgg_a0", "mobileone_s1", "fastvit_t8")
        ),
    ],
)
def test_networks_of_timm_are_merged_as_timm_does(name):
    timm = pytest.importorskip("timm")
    network, x = timm.create_model(name).eval(), torch.rand(1, 3, 64, 64)
    merged = ghostify.reparameterize(network, x)
    theirs = timm.utils.reparameterize_model(network)
    assert merged.state_dict().keys() == theirs.state_dict().keys()
    assert len(branches(network, x)) > 30
    ghost = ghostify.convert(merged, x)
    assert ghost(x).shape == merged(x).shape
