"""Decoupled fully connected attention, and Ghost modules under it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ghostify.nn.ghost_module import GhostModule


class DFCAttention(nn.Sequential):
    """Weights for every position of every map, from its row and its column of a halved map.

    GhostNetV2 (arXiv 2211.12905), as in the authors' code: average pooling
    by 2, a pointwise, a 1 x 5 and a 5 x 1 convolution, each with a batch norm, a sigmoid, and the
    nearest of the values at the old size.

    Args:
        in_channels: of the input.
        out_channels: of the maps that are to be weighted.
        side: of the two depthwise convolutions; odd.

    Shape:
        ``(N, in_channels, H, W) -> (N, out_channels, H, W)``, between 0 and 1; H and W at least 2.
    """

    def __init__(self, in_channels: int, out_channels: int, side: int = 5) -> None:
        half = side // 2
        super().__init__(
            nn.Conv2d(in_channels, out_channels, 1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.Conv2d(
                out_channels,
                out_channels,
                (1, side),
                padding=(0, half),
                groups=out_channels,
                bias=False,
            ),
            nn.BatchNorm2d(out_channels),
            nn.Conv2d(
                out_channels,
                out_channels,
                (side, 1),
                padding=(half, 0),
                groups=out_channels,
                bias=False,
            ),
            nn.BatchNorm2d(out_channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = super().forward(F.avg_pool2d(x, 2))  # type: ignore[no-untyped-call]
        return F.interpolate(scores.sigmoid(), size=x.shape[-2:], mode="nearest")


class GhostModuleV2(nn.Module):
    """A Ghost module whose maps are multiplied by an attention to its input (GhostNetV2).

    Args:
        ghost: of stride 1 and without an order of its outputs; its two halves are taken over.
        attention: from the input to a weight for each output.

    Shape:
        ``(N, in_channels, H, W) -> (N, out_channels, H, W)``.
    """

    def __init__(self, ghost: GhostModule, attention: DFCAttention) -> None:
        super().__init__()
        self.out_channels = ghost.out_channels
        self.primary_conv = ghost.primary_conv
        self.cheap_operation = ghost.cheap_operation
        self.short_conv = attention

    def forward(self, x: Tensor) -> Tensor:
        intrinsic = self.primary_conv(x)
        maps = torch.cat([intrinsic, self.cheap_operation(intrinsic)], -3)
        attended: Tensor = maps * self.short_conv(x)
        return attended
