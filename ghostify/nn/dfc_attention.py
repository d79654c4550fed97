"""DFC attention, and the Ghost module of GhostNetV2."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ghostify.nn.ghost_module import GhostModule


class DFCAttention(nn.Sequential):
    """Decoupled fully connected attention (GhostNetV2, arXiv 2211.12905).

    As in the authors' code: average pooling by 2, a 1x1, a 1x5 and a 5x1 convolution, each with a
    BatchNorm, a sigmoid, and nearest-neighbor upsampling to the input's size.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the feature maps to weight.
        kernel_size: length of the two depthwise convolutions; odd.

    Shape:
        ``(N, in_channels, H, W) -> (N, out_channels, H, W)``, from 0 to 1; H and W at least 2.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int = 5) -> None:
        def depthwise(height: int, width: int) -> nn.Conv2d:
            sizes = (out_channels, out_channels, (height, width), 1, (height // 2, width // 2))
            return nn.Conv2d(*sizes, groups=out_channels, bias=False)

        super().__init__(
            nn.Conv2d(in_channels, out_channels, 1, bias=False),
            nn.BatchNorm2d(out_channels),
            depthwise(1, kernel_size),
            nn.BatchNorm2d(out_channels),
            depthwise(kernel_size, 1),
            nn.BatchNorm2d(out_channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        scores = F.avg_pool2d(x, 2)
        for layer in self:  # TorchScript cannot call super()
            scores = layer(scores)
        return F.interpolate(scores.sigmoid(), size=x.shape[-2:], mode="nearest")


class GhostModuleV2(nn.Module):
    """Ghost module whose output is multiplied by an attention to its input (GhostNetV2).

    Args:
        ghost: a Ghost module of stride 1 without `order`; its two halves are taken over.
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
        features = torch.cat([intrinsic, self.cheap_operation(intrinsic)], -3)
        out: Tensor = features * self.short_conv(x)
        return out
