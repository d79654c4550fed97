"""Folders of pictures, and a network to open them for."""

from functools import partial

import numpy as np
import pytest
from PIL import Image
from torch import nn

from ghostify.data import open_data
from ghostify.types import ModelSource, Preprocessing

SOURCE = ModelSource("net.py:build", input_size=(3, 16, 16))


class Scores(nn.Sequential):
    """Class scores of 3x16x16 images."""

    def __init__(self, classes):
        super().__init__(nn.Flatten(), nn.Linear(3 * 16 * 16, classes))


def write(file, value):
    """A picture of 16 pixels in one shade of gray, by which it is known again."""
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((16, 16, 3), value, np.uint8)).save(file)


@pytest.fixture
def folder(tmp_path):
    """Ten pictures of each of two classes; shades 0 to 19."""
    for number in range(20):
        write(tmp_path / "images" / "ab"[number // 10] / f"{number:02}.png", number)
    return tmp_path / "images"


@pytest.fixture
def noise(folder):
    """The same with noise in them, to tell one view of a picture from another."""
    draw = np.random.default_rng(0)
    for file in folder.rglob("*.png"):
        Image.fromarray(draw.integers(0, 256, (16, 16, 3), np.uint8)).save(file)
    return folder


@pytest.fixture
def open_it():
    """`open_data` for a network of two classes that sees pixels in [0, 1]."""
    return partial(open_data, model=Scores(2), source=SOURCE)


@pytest.fixture
def ways():
    """Preprocessing that leaves shades as they are."""
    return Preprocessing((0.0,), (1 / 255,), "bilinear")
