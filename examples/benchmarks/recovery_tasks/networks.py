"""Small networks of the tasks."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def _conv(inputs: int, outputs: int, size: int = 3, stride: int = 1, groups: int = 1) -> nn.Module:
    conv = nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


class Block(nn.Module):
    """A basic block (He et al., arXiv 1512.03385)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first, self.second = _conv(inputs, outputs, 3, stride), _conv(outputs, outputs)
        self.shortcut = _conv(inputs, outputs, 1, stride) if stride > 1 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.second(F.relu(self.first(x))) + self.shortcut(x))


class Inverted(nn.Module):
    """An inverted residual (Sandler et al., arXiv 1801.04381)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        inner = 4 * inputs
        self.expand = _conv(inputs, inner, 1)
        self.depthwise = _conv(inner, inner, 3, stride, groups=inner)
        self.project = _conv(inner, outputs, 1)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = self.project(F.relu6(self.depthwise(F.relu6(self.expand(x)))))
        return x + y if self.residual else y


class Mean(nn.Module):
    """Global average pooling, ``(B, C)``."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


def resnet(channels: int, outputs: int, *, width: int = 12) -> nn.Sequential:
    w = width
    blocks = [Block(w, w, 1), Block(w, 2 * w, 2), Block(2 * w, 4 * w, 2)]
    return nn.Sequential(_conv(channels, w), nn.ReLU(), *blocks, Mean(), nn.Linear(4 * w, outputs))


def vgg(channels: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in (12, 12, 24, 24, 48, 48):
        layers += [_conv(channels, width), nn.ReLU()]
        if width == channels:
            layers.append(nn.MaxPool2d(2))
        channels = width
    return nn.Sequential(*layers, Mean(), nn.Linear(channels, outputs))


def mobilenet(channels: int, outputs: int) -> nn.Sequential:
    shapes = ((12, 12, 1), (12, 24, 2), (24, 24, 1), (24, 32, 2), (32, 32, 1))
    blocks = [Inverted(*shape) for shape in shapes]
    last = [_conv(32, 64, 1), nn.ReLU6(), Mean(), nn.Linear(64, outputs)]
    return nn.Sequential(_conv(channels, 12, 3, 2), nn.ReLU6(), *blocks, *last)


class Landmarks(nn.Module):
    """Coordinates ``(B, 3, 2)`` of three points, -1 to 1."""

    def __init__(self) -> None:
        super().__init__()
        blocks = [Block(12, 24, 2), Block(24, 48, 2), Block(48, 48, 2)]
        self.body = nn.Sequential(_conv(3, 12), nn.ReLU(), *blocks, nn.Flatten())
        self.head = nn.Linear(48 * 16, 6)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x)).view(-1, 3, 2)


class Segmenter(nn.Module):
    """A U-Net of two levels; logits ``(B, 4, H, W)`` for each pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Sequential(_conv(3, 12), nn.ReLU(), Block(12, 12, 1))
        self.down = nn.Sequential(Block(12, 24, 2), Block(24, 48, 2), Block(48, 48, 1))
        self.up = nn.Sequential(_conv(48, 12, 1), nn.Upsample(scale_factor=4, mode="bilinear"))
        self.leave = nn.Sequential(_conv(24, 24), nn.ReLU(), nn.Conv2d(24, 4, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = self.enter(x)
        return self.leave(torch.cat([x, self.up(self.down(x))], 1))


class Detector(nn.Module):
    """A single-stage detector: logits of centers ``(B, 2, 8, 8)`` and boxes ``(B, 4, 8, 8)``."""

    def __init__(self) -> None:
        super().__init__()
        blocks = [Block(12, 24, 2), Block(24, 48, 2), Block(48, 48, 1)]
        self.body = nn.Sequential(_conv(3, 12), nn.ReLU(), *blocks)
        self.centers, self.boxes = (
            nn.Sequential(_conv(48, 24), nn.ReLU(), nn.Conv2d(24, outputs, 1)) for outputs in (2, 4)
        )

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = self.body(x)
        return {"centers": self.centers(x), "boxes": self.boxes(x)}
