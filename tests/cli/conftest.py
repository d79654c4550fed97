"""The command line as a user has it: arguments in, exit code and two streams out."""

import sys
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from PIL import Image

from ghostify.cli import main

NET = """
from torch import nn

def build(width=16):
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, width, 3, padding=1), nn.ReLU(),
        nn.Conv2d(width, width, 3, groups=width), nn.Conv2d(width, 32, 1),
    )
"""

CLASSES = """
import torch
from torch import nn

def build():
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(),
        nn.Conv2d(8, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
        nn.Conv2d(16, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 6),
    )
    with torch.no_grad():
        network(torch.randn(32, 3, 16, 16))
        network[-1].weight.mul_(10)
    return network
"""


@dataclass
class Result:
    code: int
    out: str
    err: str


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Runs ``ghostify`` in an empty folder that holds ``net.py`` with a small network."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys, "path", sys.path.copy())
    for name in ("net", "classes"):  # of tests before
        monkeypatch.delitem(sys.modules, name, raising=False)
    (tmp_path / "net.py").write_text(NET)

    def invoke(*arguments):
        monkeypatch.setattr(sys, "argv", ["ghostify", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        streams = capsys.readouterr()
        return Result(stop.value.code or 0, streams.out, streams.err)

    return invoke


@pytest.fixture
def net():
    """The small network's MODEL and input, which it does not say itself."""
    return ["net.py:build", "--input", "3x16x16"]


@pytest.fixture
def fails(run):
    """Runs ``ghostify`` and sees that it ends with one line of explanation, which is returned."""

    def invoke(*arguments):
        result = run(*arguments)
        assert result.code == 1
        assert "Traceback" not in result.err
        assert result.out == ""
        lines = [line for line in result.err.strip().splitlines() if line[:8] != "images: "]
        assert len(lines) == 1
        return lines[0]

    return invoke


@pytest.fixture
def pictures(run, tmp_path):
    """A folder of 15 pictures of two sizes and kinds, some in a folder below."""
    (tmp_path / "pictures" / "more").mkdir(parents=True)
    for place in range(15):
        size = (20, 24, 3) if place % 2 else (18, 32, 3)
        name = f"more/{place}.png" if place % 3 else f"{place}.jpg"
        pixels = torch.randint(256, size, dtype=torch.uint8)
        Image.fromarray(pixels.numpy()).save(tmp_path / "pictures" / name)
    return "pictures"


@pytest.fixture
def shades(run, tmp_path):
    """A folder of 60 images of six classes, and ``classes.py`` with a network for them."""
    (tmp_path / "classes.py").write_text(CLASSES)
    for number in range(60):
        file = tmp_path / "shades" / f"{number % 6}" / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 60, (16, 16, 3)) + 30 * (number % 6)
        Image.fromarray(pixels.astype(np.uint8)).save(file)
    return "shades"


@pytest.fixture
def tensor(run):
    """A file of 20 images."""
    torch.save(torch.randn(20, 3, 16, 16), "images.pt")
    return "images.pt"
