"""Squeeze and excitation: channels weighted by what the whole map says."""

from __future__ import annotations

from torch import Tensor, nn

from ghostify.layers.widths import make_divisible


class SqueezeExcite(nn.Module):
    """Squeeze-and-excitation (arXiv 1709.01507) with a hard sigmoid, as in MobileNetV3.

    Args:
        channels: of the maps.
        hidden_channels: of the bottleneck; by default a quarter, made divisible by 4.

    Shape:
        ``(N, channels, H, W)``, in and out.
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
