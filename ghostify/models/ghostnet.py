"""GhostNet, GhostNetV2 and GhostNetV3."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

from torch import Tensor, nn

from ghostify.nn import GhostBottleneck, GhostBottleneckV3
from ghostify.nn.layers import ConvBnAct, check_width, make_divisible
from ghostify.types import GhostifyError

_STAGES = (
    ((3, 16, 16, False, 1),),
    ((3, 48, 24, False, 2),),
    ((3, 72, 24, False, 1),),
    ((5, 72, 40, True, 2),),
    ((5, 120, 40, True, 1),),
    ((3, 240, 80, False, 2),),
    (
        (3, 200, 80, False, 1),
        (3, 184, 80, False, 1),
        (3, 184, 80, False, 1),
        (3, 480, 112, True, 1),
        (3, 672, 112, True, 1),
    ),
    ((5, 672, 160, True, 2),),
    (
        (5, 960, 160, False, 1),
        (5, 960, 160, True, 1),
        (5, 960, 160, False, 1),
        (5, 960, 160, True, 1),
    ),
)
"""Architecture of GhostNet (arXiv 1911.11907), in the stages of the authors' code.

Each bottleneck has a kernel size, channels after its first and its second Ghost module at width 1,
squeeze-and-excitation or not, and a stride.
"""

_STEM, _LAST, _HEAD = 16, 960, 1280
"""Channels of the first convolution and of that after the blocks, and features after pooling."""

_PREPROCESSING = {
    "mean": (0.485, 0.456, 0.406),
    "std": (0.229, 0.224, 0.225),
    "interpolation": "bicubic",
    "crop_pct": 0.875,
}

_WITHOUT_ATTENTION = 2
"""The first stages of GhostNetV2 and V3 have no attention."""

TAPS = (3, 5, 11, 16)
"""Blocks, counted from 1: the last ones of strides 4, 8, 16 and 32."""


class GhostNet(nn.Module):
    """GhostNet of version 1, 2 or 3, a classifier. State dicts have the names of timm.

    Args:
        version: 2 and 3 have attention, 3 has parallel branches too.
        width: multiplier of all channels, which are made divisible by 4.
        num_classes: number of classes; 0 returns the features before the classifier.
        in_channels: channels of the images.
        dropout: probability before the classifier.

    Attributes:
        pretrained_cfg: preprocessing of the published networks, as in timm.

    Shape:
        ``(N, in_channels, H, W) -> (N, num_classes)``, or ``(N, 1280)`` without classes.

    Raises:
        GhostifyError: if a number is out of range.
    """

    def __init__(
        self, version: int, width: float, num_classes: int, in_channels: int, dropout: float
    ) -> None:
        super().__init__()
        check_width(width)
        if num_classes < 0:
            raise GhostifyError(f"`num_classes` (={num_classes}) must not be negative")
        if in_channels < 1:
            raise GhostifyError(f"`in_channels` (={in_channels}) must be at least 1")
        if not 0 <= dropout <= 1:
            raise GhostifyError(f"`dropout` (={dropout}) must be a probability")
        self.pretrained_cfg = {"input_size": (in_channels, 224, 224), **_PREPROCESSING}
        channels = make_divisible(_STEM * width)
        self.conv_stem = nn.Conv2d(in_channels, channels, 3, 2, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.act1 = nn.ReLU(inplace=True)
        bottleneck = GhostBottleneckV3 if version == 3 else GhostBottleneck
        self.blocks = nn.Sequential()
        for number, blocks in enumerate(_STAGES):
            attend = version > 1 and number >= _WITHOUT_ATTENTION
            stage = nn.Sequential()
            for kernel_size, hidden, out, excite, stride in blocks:
                sizes = channels, make_divisible(hidden * width), make_divisible(out * width)
                stage.append(bottleneck(*sizes, kernel_size, stride, excite=excite, attend=attend))
                channels = sizes[-1]
            self.blocks.append(stage)
        last = make_divisible(_LAST * width)
        self.blocks.append(nn.Sequential(ConvBnAct(channels, last, relu=True)))
        self.global_pool = nn.AdaptiveAvgPool2d(1)
        self.conv_head = nn.Conv2d(last, _HEAD, 1)
        self.act2 = nn.ReLU(inplace=True)
        self.drop = nn.Dropout(dropout)
        self.classifier = nn.Linear(_HEAD, num_classes) if num_classes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        maps = self.blocks(self.act1(self.bn1(self.conv_stem(x))))
        features = self.act2(self.conv_head(self.global_pool(maps))).flatten(1)
        scores: Tensor = self.classifier(self.drop(features))
        return scores


class GhostFeatures(nn.Module):
    """Feature maps of a GhostNet without its head.

    It shares the layers of ``network``, under the same names. Blocks after the last tap are
    removed.

    Args:
        network: of any version and width.
        taps: blocks whose outputs to return, counted from 1. Default: those for a feature pyramid
            of strides 4, 8, 16 and 32.

    Attributes:
        channels: of each feature map.
        strides: of each feature map, in pixels of the image.

    Shape:
        ``(N, C, H, W) -> [(N, channels[i], H / strides[i], W / strides[i]), ...]``, rounded up.

    Raises:
        GhostifyError: if ``taps`` are not blocks of the network in ascending order.
    """

    def __init__(self, network: GhostNet, taps: Sequence[int] = TAPS) -> None:
        super().__init__()
        stages: list[Any] = list(network.blocks)[:-1]
        blocks = list(chain.from_iterable(stages))
        last = len(blocks)
        if not taps or list(taps) != sorted({*taps} & {*range(1, last + 1)}):
            raise GhostifyError(f"`taps` (={taps}) must be ascending numbers from 1 to {last}")
        self.taps = tuple(taps)
        self.pretrained_cfg = network.pretrained_cfg
        self.conv_stem, self.bn1, self.act1 = network.conv_stem, network.bn1, network.act1
        used = {*blocks[: taps[-1]]}
        kept = [nn.Sequential(*filter(used.__contains__, stage)) for stage in stages]
        self.blocks = nn.Sequential(*filter(len, kept))
        self.channels = tuple(blocks[tap - 1].out_channels for tap in taps)
        self.strides = tuple(
            2 ** (1 + sum(block.stride == 2 for block in blocks[:tap])) for tap in taps
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        x = self.act1(self.bn1(self.conv_stem(x)))
        maps = []
        stages: Any = self.blocks
        for number, block in enumerate(chain.from_iterable(stages), 1):
            x = block(x)
            if number in self.taps:
                maps.append(x)
        return maps


def ghostnet(
    width: float = 1.0, *, num_classes: int = 1000, in_channels: int = 3, dropout: float = 0.2
) -> GhostNet:
    """GhostNet (CVPR 2020, arXiv 1911.11907), with random weights.

    At 224 x 224 and with 1000 classes, width 0.5 has 2.59 M parameters and 42.3 M MACs, width 1
    has 5.18 M and 141.2 M, and width 1.3 has 7.36 M and 227.0 M.

    Args:
        width: multiplier of all channels but those of the head, above 0.
        num_classes: number of classes; 0 returns the 1280 features before the classifier.
        in_channels: channels of the images.
        dropout: probability before the classifier.

    Raises:
        GhostifyError: if a number is out of range.
    """
    return GhostNet(1, width, num_classes, in_channels, dropout)


def ghostnetv2(
    width: float = 1.0, *, num_classes: int = 1000, in_channels: int = 3, dropout: float = 0.2
) -> GhostNet:
    """GhostNetV2 (NeurIPS 2022, arXiv 2211.12905), with random weights.

    GhostNet with DFC attention at the first Ghost module of all bottlenecks but the first two. At
    224 x 224 and with 1000 classes, width 1 has 6.16 M parameters and 167.1 M MACs, width 1.3 has
    8.96 M and 269.3 M, and width 1.6 has 12.39 M and 398.6 M.

    Arguments are those of `ghostnet`. Images must be 33 x 33 or larger.
    """
    return GhostNet(2, width, num_classes, in_channels, dropout)


def ghostnetv3(
    width: float = 1.0, *, num_classes: int = 1000, in_channels: int = 3, dropout: float = 0.2
) -> GhostNet:
    """GhostNetV3 (arXiv 2404.11202) in its training form, with random weights.

    GhostNetV2 with parallel branches, which `ghostify.reparameterize` folds into one convolution.
    At width 1 and with 1000 classes it has 8.13 M parameters in training, and 6.15 M parameters and
    167.1 M MACs at 224 x 224 once folded.

    Arguments are those of `ghostnet`. Images must be 33 x 33 or larger.
    """
    return GhostNet(3, width, num_classes, in_channels, dropout)
