"""The CIFAR networks have the papers' sizes, dense and ghosted, the first convolution too."""

from math import ceil

import pytest
import torch

import ghostify
from ghostify import GhostifyError, models
from ghostify.models.cifar import VGG, ResNet
from ghostify.planning import plan_sites
from ghostify.planning.flops import count
from ghostify.types import ModelSource

EXAMPLE = torch.zeros(1, 3, 32, 32)

# Inputs, outputs and positions of every 3x3 convolution.
VGG16 = [
    (3, 64, 32**2), (64, 64, 32**2),
    (64, 128, 16**2), (128, 128, 16**2),
    (128, 256, 8**2), *[(256, 256, 8**2)] * 2,
    (256, 512, 4**2), *[(512, 512, 4**2)] * 2,
    *[(512, 512, 2**2)] * 3,
]  # fmt: skip
VGG16_NORMS = 2 * (2 * 64 + 2 * 128 + 3 * 256 + 6 * 512)
VGG16_HEAD = (512 * 512 + 512) + 2 * 512 + (512 * 10 + 10)
RESNET56 = [
    (3, 16, 32**2), *[(16, 16, 32**2)] * 18,
    (16, 32, 16**2), *[(32, 32, 16**2)] * 17,
    (32, 64, 8**2), *[(64, 64, 8**2)] * 17,
]  # fmt: skip
RESNET56_NORMS = 2 * (19 * 16 + 18 * 32 + 18 * 64)
RESNET56_HEAD = 64 * 10 + 10


def by_hand(layers, s, d):
    """Weights and MACs: m filters of 3x3 over all inputs, and n - m kernels of d x d."""
    weights = macs = 0
    for c, n, positions in layers:
        m = n if s is None else ceil(n / s)
        here = m * c * 3 * 3 + (n - m) * (d or 0) ** 2
        weights += here
        macs += here * positions
    return weights, macs


def counted(network, s, d):
    """Parameters, and MACs of the convolutions, with every convolution replaced."""
    if s is not None:
        sites = ghostify.analyze(network, EXAMPLE)
        plan = plan_sites(sites, ratio=s, dw_size=d, stem=True, all_eligible=True)
        assert len(plan.replaced) == len(sites)
        network = ghostify.convert(network, EXAMPLE, plan=plan)
    found = count(network.eval(), EXAMPLE)
    return found.params, found.macs["conv"]


def rounded(params, macs):
    return round(params / 1e6, 3), round(macs / 1e6, 2)


@pytest.mark.parametrize(
    ("s", "d", "millions"),
    [
        (None, None, (14.988, 313.20)),
        (2, 1, (7.635, 156.74)),
        (2, 3, (7.651, 157.84)),
        (2, 5, (7.685, 160.05)),
        (2, 7, (7.736, 163.37)),
        # The authors' code makes ceil(n / s) * s maps and slices: 5.220/106.97 and 3.271/65.40.
        # Ours makes the n that are used: 64 maps from m = 22, not 66.
        (3, 3, (5.219, 106.93)),
        (4, 3, (3.983, 80.17)),
        (5, 3, (3.270, 65.36)),
    ],
)
def test_vgg16(s, d, millions):
    weights, macs = by_hand(VGG16, s, d)
    assert counted(VGG(), s, d) == (weights + VGG16_NORMS + VGG16_HEAD, macs)
    assert rounded(weights + VGG16_NORMS + VGG16_HEAD, macs) == millions


@pytest.mark.parametrize(
    ("s", "d", "millions"),
    [(None, None, (0.853, 125.49)), (2, 1, (0.430, 63.01)), (2, 3, (0.438, 65.14))],
)
def test_resnet56(s, d, millions):
    weights, macs = by_hand(RESNET56, s, d)
    assert counted(ResNet(56), s, d) == (weights + RESNET56_NORMS + RESNET56_HEAD, macs)
    assert rounded(weights + RESNET56_NORMS + RESNET56_HEAD, macs) == millions


# 432 in the first convolution, a first and 2n - 1 more in each stage; norms; head.
@pytest.mark.parametrize(("depth", "params"), [(20, 269_722), (56, 853_018), (110, 1_727_962)])
def test_resnets_of_the_paper(depth, params):
    network, source = models.build(ModelSource(f"ghostify:cifar_resnet{depth}"))
    assert sum(p.numel() for p in network.parameters()) == params
    assert source.input_size == (3, 32, 32)


def test_shortcuts_have_no_parameters():
    block = ResNet(8).layer2[0]
    torch.nn.init.zeros_(block.bn2.weight)  # what is left of the block is its shortcut
    x = torch.rand(2, 16, 6, 6)
    y = block.eval()(x)
    assert torch.equal(y[:, :16], x[:, :, ::2, ::2])
    assert torch.equal(y[:, 16:], torch.zeros(2, 16, 3, 3))


@pytest.mark.parametrize("name", ["cifar_vgg16", "cifar_resnet20"])
@pytest.mark.parametrize("size", [16, 28, 32, 40])
def test_images_of_other_sizes_channels_and_classes(name, size):
    arguments = {"num_classes": 7, "in_channels": 1, "width": 0.25}
    network, _ = models.build(ModelSource(f"ghostify:{name}", arguments))
    assert network(torch.rand(2, 1, size, size)).shape == (2, 7)


def test_width_multiplies_every_layer():
    narrow = VGG(width=0.25)
    outputs = [m.out_channels for m in narrow.modules() if isinstance(m, torch.nn.Conv2d)]
    assert outputs == [16, 16, 32, 32, 64, 64, 64, *[128] * 6]
    assert [m.out_features for m in narrow.classifier if hasattr(m, "out_features")] == [128, 10]
    assert [ResNet(8, width=0.5).fc.in_features, ResNet(8, width=1.5).fc.in_features] == [32, 96]


@pytest.mark.parametrize("depth", [2, 18, 49])
def test_depths_that_do_not_exist(depth):
    with pytest.raises(GhostifyError, match=rf"`depth` \(={depth}\) must be 6n \+ 2"):
        ResNet(depth)


def test_a_width_that_leaves_nothing():
    with pytest.raises(GhostifyError, match="leaves none of 64 channels"):
        VGG(width=0.001)


def test_there_is_nothing_to_download():
    with pytest.raises(GhostifyError, match="load a file with load_weights"):
        models.build(ModelSource("ghostify:cifar_vgg16"), pretrained=True)
