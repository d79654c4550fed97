"""The same images give the same scores, from files and from loaders."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

OWN = """
import numpy as np
import torch
from PIL import Image
from pathlib import Path
from torch import nn
from torch.utils.data import DataLoader

def build():
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(128, 4),
    )

def pairs(mean, std):
    for file in sorted(Path("images").rglob("*.png")):
        pixels = torch.from_numpy(np.asarray(Image.open(file)) / np.float32(255))
        yield (pixels[None] - mean) / std, int(file.parent.name)

def loader(mean=0.5, std=0.5):
    return DataLoader(list(pairs(mean, std)), 16)

def loader_of_other_values():
    return loader(0.1, 0.3)

def both():
    return loader(), loader()
"""


@pytest.fixture
def own(run, tmp_path, monkeypatch):
    """A trained network whose classes are the corners of a bright spot near the edge."""
    (tmp_path / "own.py").write_text(OWN)
    draw = np.random.default_rng(0)
    for number in range(80):
        pixels = draw.integers(0, 130, (28, 28), np.uint8)
        y, x = divmod(number % 4, 2)
        pixels[y * 26 : y * 26 + 2, x * 26 : x * 26 + 2] = 255
        file = tmp_path / "images" / str(number % 4) / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(file)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own", raising=False)
    from own import build, loader

    torch.manual_seed(0)
    network, data = build(), loader()
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    for _ in range(15):
        for images, labels in data:
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(network(images), labels).backward()
            optimizer.step()
    torch.save(network.state_dict(), tmp_path / "own.pt")
    return ["own.py:build", "--input", "1x28x28", "--weights", "own.pt"]


def score(run, *arguments):
    result = run("evaluate", *arguments, "--held-out", "1", "--format", "json")
    assert result.code == 0, result.err
    return json.loads(result.out)["rows"]["original"]["score"], result.err


@pytest.mark.parametrize(
    ("function", "options", "said"),
    [
        ("loader", [], "[assumed]"),
        ("loader_of_other_values", ["--normalize", "0.1/0.3"], "mean 0.1, std 0.3"),
    ],
)
def test_a_folder_scores_as_ones_own_loader(run, own, function, options, said):
    expected, loader = score(run, *own, "--data", f"own.py:{function}")
    found, folder = score(run, *own, "--data", "images", *options)
    assert expected["top1"] == found["top1"]
    assert expected["loss"] == pytest.approx(found["loss"], rel=1e-4)
    assert f"images: as own.py:{function} gives them" in loader
    assert "images: resize 28 (bicubic), center crop 28x28, mean " in folder
    assert said in folder


def test_an_artifact_remembers_its_preprocessing(run, own):
    options = ["--normalize", "0.1/0.3", "--resize", "30"]
    run("convert", *own, *options, "--calibration", "images", "-o", "out")
    recipe = json.loads(Path("out/ghostify.json").read_text(encoding="utf-8"))
    assert recipe["source"]["preprocessing"]["resize"] == 30
    said = run("evaluate", "out", "--model", "own.py:build", "--data", "images").err
    assert "mean 0.1, std 0.3 [options]" in said


def test_what_evaluates_also_calibrates(run, own):
    for data in ("own.py:loader", "own.py:both", "images"):
        result = run("convert", *own, "--calibration", data, "--dry-run")
        assert (result.code, "fitted to" in result.out) == (0, True)


@pytest.mark.parametrize("command", ["convert", "plan", "sensitivity"])
def test_a_number_of_images_without_images(fails, net, command):
    assert "number of images of --calibration" in fails(command, *net, "--images", "8")


def test_small_images_ask_for_the_size_of_the_input(run, shades):
    """Four times as large, they take 16 times as long."""
    given = ["evaluate", "classes.py:build", "--data", shades, "--input"]
    found = run(*given, "3x64x64")
    assert found.code == 0, found.err
    assert "enlarged from 16x16" in found.err
    assert "trained on smaller inputs: --input" in found.err
    assert "smaller inputs" not in run(*given, "3x16x16").err
