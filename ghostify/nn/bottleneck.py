"""The Ghost bottleneck."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from ghostify.nn.dfc_attention import DFCAttention, GhostModuleV2
from ghostify.nn.ghost_module import GhostModule
from ghostify.nn.layers import SqueezeExcite
from ghostify.types import GhostifyError


class GhostBottleneck(nn.Module):
    """Two Ghost modules, the first to expand and the second to project, and a shortcut.

    GhostNet, Figure 3 (arXiv 1911.11907), with the names of the authors' code. A depthwise
    convolution stands between the two if ``stride`` is 2. The second Ghost module has no
    activation. The shortcut is the identity if the shapes agree, otherwise a depthwise and a
    pointwise convolution.

    Args:
        in_channels: channels of the input.
        hidden_channels: channels after the first Ghost module, the paper's expansion size.
        out_channels: channels of the output.
        kernel_size: kernel size of the depthwise convolutions; odd.
        stride: 1 or 2.
        excite: add squeeze-and-excitation between the Ghost modules.
        attend: multiply the output of the first Ghost module by `DFCAttention`, as GhostNetV2 does
            (arXiv 2211.12905).

    Shape:
        ``(N, in_channels, H, W) -> (N, out_channels, ceil(H / stride), ceil(W / stride))``.

    Raises:
        GhostifyError: if ``stride`` or ``kernel_size`` is out of range.
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        stride: int = 1,
        *,
        excite: bool = False,
        attend: bool = False,
    ) -> None:
        super().__init__()
        check_geometry(kernel_size, stride)
        self.out_channels = out_channels
        self.stride = stride
        self.ghost1: nn.Module = pointwise_ghost(in_channels, hidden_channels)
        if attend:
            attention = DFCAttention(in_channels, hidden_channels)
            self.ghost1 = GhostModuleV2(self.ghost1, attention)
        self.conv_dw: nn.Module = nn.Identity()
        self.bn_dw: nn.Module = nn.Identity()
        if stride > 1:
            self.conv_dw = depthwise(hidden_channels, kernel_size, stride)
            self.bn_dw = nn.BatchNorm2d(hidden_channels)
        self.se = SqueezeExcite(hidden_channels) if excite else nn.Identity()
        self.ghost2: nn.Module = pointwise_ghost(hidden_channels, out_channels, relu=False)
        self.shortcut = shortcut(in_channels, out_channels, kernel_size, stride)

    def forward(self, x: Tensor) -> Tensor:
        features = self.bn_dw(self.conv_dw(self.ghost1(x)))
        out: Tensor = self.ghost2(self.se(features)) + self.shortcut(x)
        return out


def pointwise_ghost(in_channels: int, out_channels: int, *, relu: bool = True) -> GhostModule:
    """Return a 1x1 Ghost module of the authors' code: s = 2, d = 3, a BatchNorm in each half."""
    return GhostModule(
        in_channels,
        out_channels,
        1,
        bias=False,
        ratio=2,
        dw_size=3,
        norm=nn.BatchNorm2d,
        activation=partial(nn.ReLU, inplace=True) if relu else None,
    )


def depthwise(channels: int, kernel_size: int, stride: int) -> nn.Conv2d:
    """Return a depthwise convolution without bias and with "same" padding."""
    return nn.Conv2d(
        channels, channels, kernel_size, stride, kernel_size // 2, groups=channels, bias=False
    )


def shortcut(in_channels: int, out_channels: int, kernel_size: int, stride: int) -> nn.Module:
    """Return the shortcut of a Ghost bottleneck."""
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    return nn.Sequential(
        depthwise(in_channels, kernel_size, stride),
        nn.BatchNorm2d(in_channels),
        nn.Conv2d(in_channels, out_channels, 1, bias=False),
        nn.BatchNorm2d(out_channels),
    )


def check_geometry(kernel_size: int, stride: int) -> None:
    """Check the numbers of a Ghost bottleneck.

    Raises:
        GhostifyError: if ``stride`` is not 1 or 2, or ``kernel_size`` is even.
    """
    if stride not in (1, 2):
        raise GhostifyError(f"`stride` (={stride}) must be 1 or 2")
    if kernel_size < 1 or kernel_size % 2 == 0:
        raise GhostifyError(f"`kernel_size` (={kernel_size}) must be odd")
