"""GhostNet in torchvision's detectors."""

import pytest
import torch

import ghostify
from ghostify import GhostifyError, models
from ghostify.models.detection import fasterrcnn_ghostnet, retinanet_ghostnet
from ghostify.models.ghostnet import ghostnet
from ghostify.nn import GhostModule
from ghostify.planning.flops import count
from ghostify.types import ModelSource

DETECTORS = [retinanet_ghostnet, fasterrcnn_ghostnet]
SMALL = {"num_classes": 3, "pyramid": 16, "min_size": 96, "max_size": 128}


def scene(number=2):
    images = [torch.rand(3, 96, 128) for _ in range(number)]
    targets = [
        {"boxes": torch.tensor([[10.0, 20.0, 60.0, 80.0]]), "labels": torch.tensor([1])}
        for _ in images
    ]
    return images, targets


@pytest.mark.parametrize(
    ("make", "strides"),
    [(retinanet_ghostnet, [8, 16, 32, 64, 128]), (fasterrcnn_ghostnet, [4, 8, 16, 32, 64])],
)
def test_the_levels_of_the_pyramid(make, strides):
    backbone = make(0.5, **SMALL).eval().backbone
    levels = list(backbone(torch.zeros(1, 3, 128, 256)).values())
    assert [tuple(level.shape) for level in levels] == [
        (1, 16, 128 // stride, 256 // stride) for stride in strides
    ]


@pytest.mark.parametrize("make", DETECTORS)
def test_the_backbones_macs_are_those_of_the_blocks(make):
    """GhostNet 1.1x has 166.99 M; the head's convolutions and the classifier are not in there."""
    network = ghostnet(1.1).eval()
    image = torch.zeros(1, 3, 224, 224)
    whole = count(network, image).conv_and_linear_macs
    last = network.blocks[-1][0].conv
    head = last.in_channels * last.out_channels * 7 * 7
    head += last.out_channels * 1280 + 1280 * 1000
    assert whole == pytest.approx(166.99e6, abs=5e3)
    assert count(make().backbone.features, image).conv_and_linear_macs == whole - head


@pytest.mark.parametrize("make", DETECTORS)
def test_every_layer_has_a_gradient(make):
    detector = make(0.5, **SMALL).train()
    images, targets = scene()
    sum(detector(images, targets).values()).backward()
    assert all(
        parameter.grad is not None and parameter.grad.isfinite().all()
        for parameter in detector.parameters()
    )


@pytest.mark.parametrize("make", DETECTORS)
def test_what_it_finds(make):
    found = make(0.5, **SMALL).eval()(scene()[0])
    assert len(found) == 2
    assert all(set(one) == {"boxes", "labels", "scores"} for one in found)


@pytest.mark.parametrize("name", ["retinanet_ghostnet_110", "fasterrcnn_ghostnet_110"])
def test_by_name(name):
    model, source = models.build(ModelSource(f"ghostify:{name}", {"num_classes": 4}))
    assert source.input_size == (3, 800, 800)
    assert model.backbone.features.channels[-1] == 176  # 1.1 x 160
    assert sum(isinstance(module, GhostModule) for module in model.modules()) == 32


def test_a_classifiers_weights_fill_the_backbone():
    trained, detector = ghostnet(0.5), retinanet_ghostnet(0.5, **SMALL)
    found = detector.backbone.features.load_state_dict(trained.state_dict(), strict=False)
    assert not found.missing_keys
    heads = ("blocks.9", "conv_head", "classifier")
    assert all(key.startswith(heads) for key in found.unexpected_keys)


def test_no_weights_are_published():
    with pytest.raises(GhostifyError, match="it has no published weights"):
        models.build(ModelSource("ghostify:retinanet_ghostnet_110"), pretrained=True)


@pytest.mark.parametrize(
    "make", [retinanet_ghostnet, pytest.param(fasterrcnn_ghostnet, marks=pytest.mark.slow)]
)
def test_what_is_dense_can_be_converted(make):
    detector = make(0.5, **SMALL)
    ghost = ghostify.convert(detector, scene(), ratio=2)
    sites = {site.name for site in ghostify.analyze(detector, scene()) if site.ineligible is None}
    replaced = {
        name
        for name, module in ghost.named_modules()
        if isinstance(module, GhostModule) and not name.startswith("backbone.features")
    }
    assert {"backbone.fpn.layer_blocks.0.0"} <= replaced <= sites
    losses = ghost.train()(*scene())
    assert all(loss.isfinite() for loss in losses.values())
