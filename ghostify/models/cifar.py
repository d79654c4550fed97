"""The CIFAR networks of the GhostNet paper, which torchvision lacks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from ghostify.nn.layers import check_width
from ghostify.types import GhostifyError

_VGG16 = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))


class VGG(nn.Module):
    """VGG-16 with BatchNorm and two linear layers, as used on CIFAR-10.

    Images may be of any size, since the five pooling layers round up.

    Args:
        num_classes: number of classes.
        in_channels: channels of the image.
        width: multiplier of the channels of all layers.

    Shape:
        ``(N, in_channels, H, W)`` to ``(N, num_classes)``.
    """

    def __init__(self, num_classes: int = 10, in_channels: int = 3, width: float = 1.0) -> None:
        super().__init__()
        self.pretrained_cfg = {"input_size": (in_channels, 32, 32)}
        layers: list[nn.Module] = []
        inputs = in_channels
        for channels, depth in _VGG16:
            outputs = _scaled(channels, width)
            for _ in range(depth):
                layers += [_conv3x3(inputs, outputs), nn.BatchNorm2d(outputs), nn.ReLU(True)]
                inputs = outputs
            layers += [nn.MaxPool2d(2, ceil_mode=True)]
        hidden = _scaled(512, width)
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            nn.Linear(inputs, hidden),
            nn.BatchNorm1d(hidden),
            nn.ReLU(True),
            nn.Linear(hidden, num_classes),
        )
        _initialize(self)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.classifier(self.avgpool(self.features(x)).flatten(1))
        return scores


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with a shortcut without parameters (option A of the paper).

    If the block has more outputs than inputs, the shortcut subsamples and pads with zero channels.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = _conv3x3(inputs, outputs, stride)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = _conv3x3(outputs, outputs)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.stride = stride
        self.growth = outputs - inputs

    def forward(self, x: Tensor) -> Tensor:
        residual = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        shortcut = F.pad(x[..., :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.growth))
        return F.relu(residual + shortcut)


class ResNet(nn.Module):
    """ResNet of 6n + 2 layers for CIFAR (He et al., CVPR 2016, section 4.2).

    Args:
        depth: 6n + 2, such as 20, 56 or 110.
        num_classes: number of classes.
        in_channels: channels of the image.
        width: multiplier of the channels of all layers.

    Shape:
        ``(N, in_channels, H, W)`` to ``(N, num_classes)``.
    """

    def __init__(
        self, depth: int, num_classes: int = 10, in_channels: int = 3, width: float = 1.0
    ) -> None:
        super().__init__()
        if depth < 8 or depth % 6 != 2:
            raise GhostifyError(f"`depth` (={depth}) must be 6n + 2, such as 20, 56 or 110")
        self.pretrained_cfg = {"input_size": (in_channels, 32, 32)}
        first, second, third = (_scaled(channels, width) for channels in (16, 32, 64))
        blocks = depth // 6
        self.conv1 = _conv3x3(in_channels, first)
        self.bn1 = nn.BatchNorm2d(first)
        self.layer1 = _stage(first, first, blocks, stride=1)
        self.layer2 = _stage(first, second, blocks, stride=2)
        self.layer3 = _stage(second, third, blocks, stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(third, num_classes)
        _initialize(self)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        scores: Tensor = self.fc(self.avgpool(x).flatten(1))
        return scores


CIFAR_NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "cifar_vgg16": VGG,
    **{f"cifar_resnet{depth}": partial(ResNet, depth) for depth in (20, 56, 110)},
}
"""Factories by name. Keyword arguments: ``num_classes``, ``in_channels`` and ``width``."""


def _stage(inputs: int, outputs: int, blocks: int, *, stride: int) -> nn.Sequential:
    widths = pairwise([inputs] + [outputs] * blocks)
    return nn.Sequential(
        *(BasicBlock(a, b, 1 if index else stride) for index, (a, b) in enumerate(widths))
    )


def _conv3x3(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)


def _scaled(channels: int, width: float) -> int:
    check_width(width)
    scaled = round(channels * width)
    if scaled < 1:
        raise GhostifyError(f"`width` (={width}) leaves none of {channels} channels")
    return scaled


def _initialize(network: nn.Module) -> None:
    """Initialize convolutions as He et al., ICCV 2015."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
