"""GhostNet: K. Han et al., CVPR 2020, arXiv 1911.11907."""

from __future__ import annotations

from ghostify.layers import GhostBottleneck
from ghostify.zoo.family.network import GhostNet


def ghostnet(
    width: float = 1.0, *, num_classes: int = 1000, in_channels: int = 3, dropout: float = 0.2
) -> GhostNet:
    """GhostNet (CVPR 2020, arXiv 1911.11907), with random weights.

    At 224 x 224 and with 1000 classes, width 0.5 has 2.59 M parameters and 42.3 M MACs, width 1
    has 5.18 M and 141.2 M, and width 1.3 has 7.36 M and 227.0 M.

    Args:
        width: what all widths of the paper but the last one are multiplied by; above 0.
        num_classes: outputs; with 0, the 1280 features before the classifier.
        in_channels: of the images.
        dropout: probability before the classifier.

    Raises:
        GhostifyError: if a number is out of range.
    """
    return GhostNet(
        GhostBottleneck,
        width,
        attend=False,
        num_classes=num_classes,
        in_channels=in_channels,
        dropout=dropout,
    )
