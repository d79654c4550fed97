"""Detectors of torchvision on a GhostNet backbone."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN, RetinaNet
from torchvision.ops.feature_pyramid_network import (
    FeaturePyramidNetwork,
    LastLevelMaxPool,
    LastLevelP6P7,
)

from ghostify.models.ghostnet import TAPS, GhostFeatures, ghostnet

COCO_CLASSES = 91
"""Number of classes of COCO as in torchvision, with the background and unused numbers."""

_PRETRAINED_CFG = {
    "input_size": (3, 800, 800),
    "mean": (0.0, 0.0, 0.0),
    "std": (1.0, 1.0, 1.0),
    "interpolation": "bilinear",
    "crop_pct": 1.0,
}
"""Detectors take images in [0, 1], and resize and normalize them inside."""


class GhostPyramid(nn.Module):
    """Feature pyramid (FPN, arXiv 1612.03144) on the feature maps of a GhostNet.

    Args:
        features: the backbone.
        channels: of each level.
        extra: computes the levels that are coarser than the last feature map.

    Attributes:
        out_channels: of each level, as torchvision's detectors require.

    Shape:
        ``(N, C, H, W) -> {"0": (N, channels, H / strides[0], W / strides[0]), ...}``.
    """

    def __init__(self, features: GhostFeatures, channels: int, extra: nn.Module) -> None:
        super().__init__()
        self.features = features
        self.fpn = FeaturePyramidNetwork(list(features.channels), channels, extra_blocks=extra)
        self.out_channels = channels

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        maps = OrderedDict((str(level), y) for level, y in enumerate(self.features(x)))
        levels: dict[str, Tensor] = self.fpn(maps)
        return levels


def retinanet_ghostnet(
    width: float = 1.1, *, num_classes: int = COCO_CLASSES, pyramid: int = 256, **options: Any
) -> RetinaNet:
    """RetinaNet (arXiv 1708.02002) on GhostNet (arXiv 1911.11907), with random weights.

    The pyramid takes the outputs of blocks 5, 11 and 16 (strides 8, 16 and 32), and has two more
    levels.

    Args:
        width: width multiplier of the GhostNet.
        num_classes: number of classes, with the background.
        pyramid: channels of each level.
        options: arguments of torchvision's detector, such as ``min_size`` and ``max_size``.
    """
    features = GhostFeatures(ghostnet(width), TAPS[1:])
    backbone = GhostPyramid(features, pyramid, LastLevelP6P7(pyramid, pyramid))
    detector = RetinaNet(backbone, num_classes, **options)
    detector.pretrained_cfg = _PRETRAINED_CFG
    return detector


def fasterrcnn_ghostnet(
    width: float = 1.1, *, num_classes: int = COCO_CLASSES, pyramid: int = 256, **options: Any
) -> FasterRCNN:
    """Faster R-CNN (arXiv 1506.01497) on GhostNet (arXiv 1911.11907), with random weights.

    The pyramid takes the outputs of blocks 3, 5, 11 and 16 (strides 4 to 32), and has one more
    level. Arguments are those of `retinanet_ghostnet`.
    """
    backbone = GhostPyramid(GhostFeatures(ghostnet(width)), pyramid, LastLevelMaxPool())
    detector = FasterRCNN(backbone, num_classes, **options)
    detector.pretrained_cfg = _PRETRAINED_CFG
    return detector
