"""GhostNetV3: Z. Liu et al., 2024, arXiv 2404.11202."""

from __future__ import annotations

from ghostify.layers import BranchedBottleneck
from ghostify.zoo.family.network import GhostNet


def ghostnetv3(
    width: float = 1.0, *, num_classes: int = 1000, in_channels: int = 3, dropout: float = 0.2
) -> GhostNet:
    """GhostNetV3 (arXiv 2404.11202) in its training form, with random weights.

    GhostNetV2 with parallel branches; `ghostify.fuse` makes one convolution of them. At width 1
    and with 1000 classes it has 8.13 M parameters in training and 6.15 M after that, and then
    167.1 M MACs at 224 x 224.

    Args:
        width: what all widths of the paper but the last one are multiplied by; above 0.
        num_classes: outputs; with 0, the 1280 features before the classifier.
        in_channels: of the images, which are of 33 x 33 or more.
        dropout: probability before the classifier.

    Raises:
        GhostifyError: if a number is out of range.
    """
    return GhostNet(
        BranchedBottleneck,
        width,
        attend=True,
        num_classes=num_classes,
        in_channels=in_channels,
        dropout=dropout,
    )
