"""Real networks, converted: classification networks of torchvision, family by family."""

import pytest
import torch
from torchvision import models

import ghostify

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
pytest.importorskip("openvino")

# The least input, where it is not 64 x 64; transformers have one size.
SIZES = {"alexnet": 127, "inception_v3": 139, "googlenet": 96, "squeezenet": 95}
NAMES = [
    "alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "efficientnet_v2_s", "googlenet",
    "inception_v3", "mnasnet0_5", "mobilenet_v2", "mobilenet_v3_small", "regnet_x_400mf",
    "regnet_y_400mf", "resnet50", "resnext50_32x4d", "shufflenet_v2_x0_5", "squeezenet1_1",
    "vgg11_bn", "wide_resnet50_2",
]  # fmt: skip
"""A small network or two of each family."""


def side_of(name):
    return next((side for start, side in SIZES.items() if name.startswith(start)), 65)


def exported(name, tmp_path, ending, ratio=2, narrowing_plan=None):
    more = {"init_weights": False} if name in ("inception_v3", "googlenet") else {}
    model = models.get_model(name, weights=None, num_classes=10, **more).eval()
    example = torch.randn(1, 3, side_of(name), side_of(name) + 2)
    if narrowing_plan is None:
        ghost = ghostify.convert(model, example, ratio=ratio, init="random")
    else:
        plan = narrowing_plan(model, example, ghost=ghostify.GhostSpec(ratio))
        ghost = ghostify.convert(model, example, plan=plan)
    for module in ghost.modules():
        if isinstance(module, ghostify.GhostModule):
            module.order = torch.randperm(module.out_channels)
    return ghostify.export(ghost, example, tmp_path / f"{name}{ending}")


def test_resnet18(tmp_path, ending):
    found = exported("resnet18", tmp_path, ending, ratio=4)
    assert found.max_relative_error < 1e-4
    assert found.batch == (1 if ending == ".pte" else None)


@pytest.mark.parametrize("ending", [".onnx", ".xml", ".pt2"])
def test_narrowed_networks(tmp_path, ending, narrowing_plan):
    found = exported("mobilenet_v3_small", tmp_path, ending, narrowing_plan=narrowing_plan)
    assert found.max_relative_error < 1e-3
    assert found.batch is None, found.note


@pytest.mark.slow
@pytest.mark.parametrize("ending", [".onnx", ".xml", ".pt2"])
@pytest.mark.parametrize("name", NAMES)
def test_classification_networks(name, tmp_path, ending):
    found = exported(name, tmp_path, ending)
    assert found.max_relative_error < 1e-3
    assert found.batch is None, found.note
