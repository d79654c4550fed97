"""GhostNetV2 and V3, and what holds for all versions."""

import pytest
import torch
from torch import nn

import ghostify
from ghostify import models
from ghostify.nn import GhostBottleneckV3, GhostModuleV2, GhostModuleV3
from ghostify.planning.flops import count

IMAGE = torch.zeros(1, 3, 224, 224)
VERSIONS = [models.ghostnet, models.ghostnetv2, models.ghostnetv3]


@pytest.mark.parametrize(
    ("width", "params", "macs"),
    [(1.0, 6_156_908, 167_048_288), (1.3, 8_960_404, 269_322_976), (1.6, 12_392_698, 398_607_224)],
)
def test_counts_of_v2(width, params, macs):
    """167, 269 and 399 M MACs (arXiv 2211.12905)."""
    found = count(models.ghostnetv2(width), IMAGE)
    assert (found.params, found.conv_and_linear_macs) == (params, macs)


@pytest.mark.parametrize(
    ("width", "training", "params", "macs"),
    [
        (0.5, 3_395_384, 2_853_176, 49_640_656),
        (1.0, 8_129_028, 6_147_588, 167_048_288),
        pytest.param(1.3, 12_217_720, 8_948_296, 269_322_976, marks=pytest.mark.slow),
        pytest.param(1.6, 17_275_700, 12_377_778, 398_607_224, marks=pytest.mark.slow),
    ],
)
def test_counts_of_v3_before_and_after_fusion(width, training, params, macs):
    """6.1 M parameters and 167 M MACs at width 1 (arXiv 2404.11202), of the fused form."""
    network = models.ghostnetv3(width)
    assert sum(p.numel() for p in network.parameters()) == training
    found = count(ghostify.reparameterize(network), IMAGE)
    assert (found.params, found.conv_and_linear_macs) == (params, macs)


def test_attention_to_all_bottlenecks_but_two():
    attended = [m for m in models.ghostnetv2(1.0).modules() if isinstance(m, GhostModuleV2)]
    branched = [m for m in models.ghostnetv3(1.0).modules() if isinstance(m, GhostModuleV3)]
    assert len(attended) == 14
    assert sum(ghost.short_conv is not None for ghost in branched) == 14
    assert len(branched) == 32


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 2e-6)], ids=["f64", "f32"]
)
def test_fusion_is_exact(dtype, tolerance, lived_in):
    network = lived_in(models.ghostnetv3(1.0)).to(dtype)
    images = torch.randn(1, 3, 96, 96, dtype=dtype)
    fused = ghostify.reparameterize(network)
    assert not any(isinstance(m, (GhostBottleneckV3, GhostModuleV3)) for m in fused.modules())
    with torch.no_grad():
        expected = network(images)
        assert (fused(images) - expected).abs().max() <= tolerance * expected.abs().max()


@pytest.mark.parametrize("make", VERSIONS)
def test_other_widths_classes_channels_and_sizes(make):
    network = make(0.3, num_classes=7, in_channels=2).eval()
    assert network(torch.randn(2, 2, 70, 45)).shape == (2, 7)
    maps = models.GhostFeatures(network)(torch.randn(1, 2, 64, 96))
    sides = [(16, 24), (8, 12), (4, 6), (2, 3)]
    channels = models.GhostFeatures(make(0.3)).channels
    assert [tuple(m.shape[1:]) for m in maps] == [
        (width, *side) for width, side in zip(channels, sides, strict=True)
    ]


@pytest.mark.parametrize("make", VERSIONS)
def test_deployed_no_batch_norm_is_left(make, lived_in):
    network = lived_in(make(0.5, num_classes=3))
    image = torch.randn(2, 3, 64, 64)
    deployed = ghostify.deploy(network, image)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in deployed.modules())
    assert torch.allclose(deployed(image), network(image), atol=1e-5)


@pytest.mark.parametrize("make", VERSIONS)
def test_no_part_of_a_ghost_module_is_replaced(make):
    network = make(0.5, num_classes=3)
    sites = ghostify.analyze(network, torch.zeros(1, 3, 64, 64))
    assert not any(site.functional for site in sites)
    inside = [site for site in sites if ".ghost" in site.name]
    assert {site.ineligible for site in inside} <= {"part of a Ghost module", "depthwise"}
    outside = [site.name for site in sites if site.ineligible is None]
    assert len(outside) == 22  # stem, 14 of squeeze-excite, 5 of shortcuts, the last, and the head


@pytest.mark.parametrize("make", VERSIONS)
def test_every_weight_is_trained(make):
    network = make(0.5, num_classes=3)
    network(torch.randn(4, 3, 64, 64)).logsumexp(1).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
