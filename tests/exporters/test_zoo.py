"""Real networks, converted: every classification network of torchvision."""

import re
from itertools import product

import pytest
import torch
from torchvision import models

import ghostify

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
pytest.importorskip("openvino")

# The least input, where it is not 64 x 64; transformers have one size.
SIZES = {"alexnet": 127, "inception_v3": 139, "googlenet": 96, "squeezenet": 95}
LARGE = (
    "regnet_y_128gf",
    "regnet_y_32gf",
    "regnet_x_32gf",
    "convnext_large",
    "vit_h_14",
    "vit_l",
    "vit_b",
    "swin",
    "maxvit",
)
NAMES = [name for name in models.list_models(models) if not name.startswith(LARGE)]


FAMILIES = {re.match("[a-z]+", name)[0]: name for name in sorted(NAMES, reverse=True)}
"""One network of each, by its first letters."""


def side_of(name):
    return next((side for start, side in SIZES.items() if name.startswith(start)), 65)


def exported(name, tmp_path, ending, ratio=2):
    more = {"init_weights": False} if name in ("inception_v3", "googlenet") else {}
    model = models.get_model(name, weights=None, num_classes=10, **more).eval()
    example = torch.randn(1, 3, side_of(name), side_of(name) + 2)
    ghost = ghostify.convert(model, example, ratio=ratio, init="random")
    for module in ghost.modules():
        if isinstance(module, ghostify.GhostModule):
            module.order = torch.randperm(module.out_channels)
    return ghostify.export(ghost, example, tmp_path / f"{name}{ending}")


def test_resnet18(tmp_path, ending):
    found = exported("resnet18", tmp_path, ending, ratio=4)
    assert found.max_relative_error < 1e-4
    assert found.batch == (1 if ending == ".pte" else None)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "ending"),
    [
        *((name, ".onnx") for name in NAMES),
        *product(FAMILIES.values(), [".xml", ".pt2"]),
    ],
)
def test_every_classification_network(name, tmp_path, ending):
    found = exported(name, tmp_path, ending)
    assert found.max_relative_error < 1e-3
    assert found.batch is None, found.note
