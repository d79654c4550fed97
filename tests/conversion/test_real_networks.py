"""The figures of real networks: by hand, by formula, and by fvcore, which must agree."""

import subprocess
import sys

import pytest
import torch
from torch import nn
from torchvision.models import get_model

import ghostify
from ghostify import GhostModule, models
from ghostify.planning import cost
from ghostify.planning.flops import FlopCountAnalysis
from ghostify.types import ModelSource

NETWORKS = ["resnet50", "vgg16", "mobilenet_v2", "densenet121", "efficientnet_b0"]


@pytest.fixture(scope="module", params=NETWORKS)
def conversion(request):
    model, source = models.build(ModelSource(request.param))
    example = models.example(source)
    ghost = ghostify.convert(model, example)
    return model, ghost, example, ghostify.compare(model, ghost, example)


def fvcore_by_module(model, example):
    analysis = FlopCountAnalysis(model.eval(), example).unsupported_ops_warnings(False)
    with torch.no_grad():
        return analysis.tracer_warnings("none").uncalled_modules_warnings(False).by_module()


def test_predicted_costs_are_what_fvcore_counts(conversion):
    model, ghost, example, report = conversion
    before, after = fvcore_by_module(model, example), fvcore_by_module(ghost, example)
    assert report.replaced
    for row in report.replaced:
        name = row.site.name
        assert row.macs == (before[name], after[name])
        assert row.params == tuple(_params(m.get_submodule(name)) for m in (model, ghost))
    for kept in report.kept:
        assert kept.macs[0] == before[kept.site.name] == after[kept.site.name]


def _params(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_every_convolution_is_accounted_for(conversion):
    model, ghost, _, report = conversion
    convolutions = {n for n, m in model.named_modules() if isinstance(m, nn.Conv2d)}
    replaced = {row.site.name for row in report.replaced}
    assert replaced | {kept.site.name for kept in report.kept} == convolutions
    assert replaced == {n for n, m in ghost.named_modules() if isinstance(m, GhostModule)}


def test_the_converted_network_trains(conversion):
    _, ghost, example, _ = conversion
    ghost.train()
    ghost(torch.randn(2, *example.shape[1:])).square().mean().backward()
    assert all(parameter.grad is not None for parameter in ghost.parameters())


def test_resnet50_at_2_and_4():
    model, source = models.build(ModelSource("resnet50"))
    x = models.example(source)
    for ratio, thousand_params, mega_macs in [(2, 13_954, 2_151), (4, 8_152, 1_182)]:
        report = ghostify.compare(model, ghostify.convert(model, x, ratio=ratio), x)
        assert report.before.params == 25_557_032
        assert round(report.before.conv_and_linear_macs / 1e6) == 4_089
        assert round(report.after.params / 1e3) == thousand_params
        assert round(report.after.conv_and_linear_macs / 1e6) == mega_macs
        assert [kept.site.name for kept in report.kept] == ["conv1"]


# The 3x3 convolutions of VGG-16: inputs, outputs, side of the output map.
VGG16 = [
    (3, 64, 224), (64, 64, 224), (64, 128, 112), (128, 128, 112),
    (128, 256, 56), (256, 256, 56), (256, 256, 56),
    (256, 512, 28), (512, 512, 28), (512, 512, 28), (512, 512, 14), (512, 512, 14), (512, 512, 14),
]  # fmt: skip
VGG16_HEAD = 25088 * 4096 + 4096 * 4096 + 4096 * 1000


@pytest.mark.parametrize(
    ("ratio", "params", "mega_macs"), [(2, 131_021_896, 7_887), (4, 127_354_072, 4_095)]
)
@pytest.mark.parametrize("name", ["vgg16", "vgg16_bn"])
def test_vgg16_by_hand(name, ratio, params, mega_macs):
    stem, *rest = VGG16
    weights = [stem[0] * stem[1] * 9]
    weights += [n // ratio * (c * 9) + (n - n // ratio) * 9 for c, n, _ in rest]
    biases = sum(n for _, n, _ in VGG16) + 4096 + 4096 + 1000
    norms = 2 * sum(n for _, n, _ in VGG16) if name == "vgg16_bn" else 0
    by_hand = sum(weights) + biases + norms + VGG16_HEAD
    macs_by_hand = sum(w * m * m for w, (_, _, m) in zip(weights, VGG16, strict=True)) + VGG16_HEAD

    model = get_model(name)
    x = torch.zeros(1, 3, 224, 224)
    report = ghostify.compare(model, ghostify.convert(model, x, ratio=ratio), x)
    assert report.before.params == 138_357_544 + norms
    assert report.before.conv_and_linear_macs == 15_470_264_320
    assert report.after.params == by_hand == params + norms
    assert report.after.conv_and_linear_macs == macs_by_hand
    assert round(macs_by_hand / 1e6) == mega_macs


def test_sites_price_the_whole_network():
    model, source = models.build(ModelSource("resnet50"))
    sites = ghostify.analyze(model, models.example(source))
    assert sum(cost.macs(site) for site in sites) == 4_087_136_256
    assert sum(cost.params(site) for site in sites) == 25_557_032 - 2_049_000 - 53_120


def test_a_saved_network_computes_the_same_in_a_new_process(tmp_path):
    source = ModelSource("mobilenet_v2", {}, (3, 64, 64))
    model, _ = models.build(source)
    x = torch.randn(2, 3, 64, 64)
    ghost = ghostify.convert(model, x)
    ghost.train()(x)  # moves the running statistics
    ghostify.save(ghost, tmp_path / "out", source=source)
    torch.save({"x": x, "y": ghost.eval()(x)}, tmp_path / "xy.pt")
    code = (
        "import torch, ghostify\n"
        "data = torch.load('xy.pt', weights_only=True)\n"
        "assert torch.equal(ghostify.load('out').eval()(data['x']), data['y'])\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
