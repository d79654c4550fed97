"""The detection example: its pictures, its COCO, and short runs of it."""

import importlib.util
import json
import re
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest
import torch
from torchvision.transforms.v2.functional import to_pil_image

from ghostify import models

for library in ("torchmetrics", "pycocotools"):
    pytest.importorskip(library, reason="the example wants pip install '.[detection]'")
FILE = Path(__file__).parents[2] / "examples" / "detection.py"


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("detection_example", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(*options):
    """The losses and the mAPs that were printed."""
    done = subprocess.run([sys.executable, FILE, *options], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    losses = [float(x) for x in re.findall(r"^epoch .*: loss (\S+),", done.stdout, re.M)]
    maps = [float(x) for x in re.findall(r"^(?:before|epoch) .*mAP (\S+),", done.stdout, re.M)]
    return losses, maps, done.stdout


def test_pictures_are_the_same_every_time(example):
    first, again = example.Shapes(3, seed=5), example.Shapes(3, seed=5)
    for (picture, target), (other, same) in zip(first, again, strict=True):
        assert torch.equal(picture, other)
        assert torch.equal(target["boxes"], same["boxes"])
        assert picture.shape == (3, 128, 128)
        assert 0 <= picture.min() < picture.max() <= 1
        assert 1 <= len(target["labels"]) == len(target["boxes"]) <= 3
        assert 0 <= target["boxes"].min() < target["boxes"].max() <= 128
    assert not torch.equal(first[0][0], example.Shapes(3, seed=6)[0][0])


@pytest.mark.parametrize("shape", ["disc", "rectangle", "triangle"])
def test_a_shape_fills_its_box(example, shape):
    left, top, right, bottom = 20, 30, 60, 62
    filled = example.inside(shape, torch.tensor([left, top, right, bottom]))
    rows, columns = filled.nonzero().T
    assert (columns.min(), columns.max() + 1) == (left, right)
    assert rows.max() + 1 == bottom
    assert rows.min() - top <= 1  # a triangle's tip is finer than a pixel
    share = {"disc": torch.pi / 4, "rectangle": 1, "triangle": 0.5}[shape]
    assert filled.sum() / (40 * 32) == pytest.approx(share, abs=0.04)


def small_coco(folder, example):
    """Two splits of four pictures each; one of the second has nothing marked."""
    (folder / "annotations").mkdir()
    for split, seed in (("train", 1), ("val", 2)):
        (folder / f"{split}2017").mkdir()
        images, marked = [], []
        for number, (picture, target) in enumerate(example.Shapes(4, seed), 1):
            name = f"{number}.jpg"
            to_pil_image(picture).save(folder / f"{split}2017" / name, quality=95)
            images.append({"id": number, "file_name": name, "width": 128, "height": 128})
            if (split, number) == ("val", 4):
                continue
            for box, label in zip(target["boxes"].tolist(), target["labels"].tolist(), strict=True):
                left, top, right, bottom = box
                width, height = right - left, bottom - top
                marked.append(
                    {
                        "id": len(marked) + 1, "image_id": number, "category_id": label,
                        "bbox": [left, top, width, height], "area": width * height, "iscrowd": 0,
                    }
                )  # fmt: skip
        text = json.dumps(
            {
                "info": {},
                "images": images,
                "annotations": marked,
                "categories": [{"id": n, "name": str(n)} for n in (1, 2, 3)],
            }
        )
        (folder / "annotations" / f"instances_{split}2017.json").write_text(text)
    return folder


def test_coco_is_read(example, tmp_path):
    folder = small_coco(tmp_path, example)
    training = example.Coco(folder, "train", training=True)
    flipped = set()
    for _ in range(8):
        picture, target = training[0]
        original, expected = example.Shapes(4, seed=1)[0]
        boxes = expected["boxes"].clone()
        if not torch.equal(target["boxes"], boxes):
            boxes[:, [0, 2]] = 128 - boxes[:, [2, 0]]
            original = original.flip(-1)
            flipped.add(True)
        else:
            flipped.add(False)
        assert torch.equal(target["boxes"], boxes)
        assert torch.equal(target["labels"], expected["labels"])
        assert (picture - original).abs().mean() < 0.05  # what JPEG leaves
    assert flipped == {True, False}
    evaluation = example.Coco(folder, "val", training=False)
    assert len(evaluation) == 4
    assert evaluation[3][1]["boxes"].shape == (0, 4)


def test_the_backbone_takes_the_weights_of_a_classifier(example, tmp_path):
    classifier, file = models.ghostnet(0.5), tmp_path / "classifier.pt"
    torch.save(classifier.state_dict(), file)
    name = "ghostify:retinanet_ghostnet"
    options = Namespace(model=name, weights=file, size=128, data=None, ratio=None)
    backbone = example.build(options).backbone.features
    assert torch.equal(backbone.conv_stem.weight, classifier.conv_stem.weight)


@pytest.mark.slow
def test_the_loss_falls():
    losses, maps, _ = run("--epochs", "3", "--pictures", "96")
    assert losses[2] < losses[0]
    assert len(maps) == 4
    assert maps[0] == 0
    assert all(0 <= found <= 1 for found in maps)


@pytest.mark.slow
def test_a_converted_detector():
    options = ["--model", "fasterrcnn_mobilenet_v3_large_fpn", "--ratio", "2"]
    losses, maps, said = run(*options, "--epochs", "1", "--pictures", "16")
    assert "Changed: " in said
    assert len(losses) == 1
    assert len(maps) == 2


@pytest.mark.slow
def test_on_a_small_coco(example, tmp_path):
    folder = small_coco(tmp_path, example)
    options = ["--data", folder, "--model", "ghostify:retinanet_ghostnet_110", "--size", "128"]
    losses, maps, _ = run(*options, "--batch", "2", "--epochs", "1")
    assert len(losses) == 1
    assert len(maps) == 2
