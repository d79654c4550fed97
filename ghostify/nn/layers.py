"""Small blocks of the GhostNets, and the rule that scales their widths."""

from __future__ import annotations

from math import isfinite

from torch import Tensor, nn

from ghostify.types import GhostifyError


def check_width(width: float) -> None:
    """Check the width multiplier of a network."""
    if not isinstance(width, int | float) or not (isfinite(width) and width > 0):
        raise GhostifyError(f"`width` (={width}) must be a number above 0")


def make_divisible(channels: float, divisor: int = 4) -> int:
    """Round ``channels`` to a multiple of ``divisor``, at least one, without losing over 10 %.

    The rule of the MobileNet authors, which the GhostNets use.
    """
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded if rounded >= 0.9 * channels else rounded + divisor


class ConvBnAct(nn.Module):
    """Convolution without bias and with "same" padding, BatchNorm, optional ReLU.

    Shape:
        ``(N, in_channels, H, W) -> (N, out_channels, ceil(H / stride), ceil(W / stride))``.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 1,
        stride: int = 1,
        *,
        groups: int = 1,
        relu: bool = False,
    ) -> None:
        super().__init__()
        sizes = (in_channels, out_channels, kernel_size, stride, kernel_size // 2)
        self.conv = nn.Conv2d(*sizes, groups=groups, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.act = nn.ReLU(inplace=True) if relu else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.act(self.bn1(self.conv(x)))
        return out


class SqueezeExcite(nn.Module):
    """Squeeze-and-excitation (arXiv 1709.01507) with a hard sigmoid, as in MobileNetV3.

    Args:
        channels: channels of the input and output.
        hidden_channels: channels of the bottleneck. Default: a quarter, divisible by 4.

    Shape:
        ``(N, channels, H, W) -> (N, channels, H, W)``.
    """

    def __init__(self, channels: int, hidden_channels: int | None = None) -> None:
        super().__init__()
        hidden = hidden_channels or make_divisible(channels / 4)
        self.conv_reduce = nn.Conv2d(channels, hidden, 1)
        self.act1 = nn.ReLU(inplace=True)
        self.conv_expand = nn.Conv2d(hidden, channels, 1)
        self.gate = nn.Hardsigmoid()

    def forward(self, x: Tensor) -> Tensor:
        means = x.mean((2, 3), keepdim=True)
        scale: Tensor = self.gate(self.conv_expand(self.act1(self.conv_reduce(means))))
        return x * scale
