"""GhostNetV2: Y. Tang et al., NeurIPS 2022, arXiv 2211.12905."""

from __future__ import annotations

from ghostify.layers import GhostBottleneck
from ghostify.zoo.family.network import GhostNet


def ghostnetv2(
    width: float = 1.0, *, num_classes: int = 1000, in_channels: int = 3, dropout: float = 0.2
) -> GhostNet:
    """GhostNetV2 (NeurIPS 2022, arXiv 2211.12905), with random weights.

    GhostNet with DFC attention to the first Ghost module of all bottlenecks but the first two. At
    224 x 224 and with 1000 classes, width 1 has 6.16 M parameters and 167.1 M MACs, width 1.3 has
    8.96 M and 269.3 M, and width 1.6 has 12.39 M and 398.6 M.

    Args:
        width: what all widths of the paper but the last one are multiplied by; above 0.
        num_classes: outputs; with 0, the 1280 features before the classifier.
        in_channels: of the images, which are of 33 x 33 or more.
        dropout: probability before the classifier.

    Raises:
        GhostifyError: if a number is out of range.
    """
    return GhostNet(
        GhostBottleneck,
        width,
        attend=True,
        num_classes=num_classes,
        in_channels=in_channels,
        dropout=dropout,
    )
