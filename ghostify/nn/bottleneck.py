"""The Ghost bottleneck."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

from ghostify.nn.dfc_attention import DFCAttention, GhostModuleV2
from ghostify.nn.ghost_module import GhostModule
from ghostify.nn.layers import SqueezeExcite
from ghostify.types import GhostifyError


def _pointwise_ghost(
    in_channels: int, out_channels: int, *, relu: bool = True, attend: bool = False
) -> nn.Module:
    """Return a 1x1 Ghost module of the authors' code: s = 2, d = 3, a BatchNorm in each half."""
    ghost = GhostModule(
        in_channels,
        out_channels,
        1,
        bias=False,
        ratio=2,
        dw_size=3,
        norm=nn.BatchNorm2d,
        activation=partial(nn.ReLU, inplace=True) if relu else None,
    )
    return GhostModuleV2(ghost, DFCAttention(in_channels, out_channels)) if attend else ghost


def _depthwise(channels: int, kernel_size: int, stride: int) -> nn.Conv2d:
    sizes = (channels, channels, kernel_size, stride, kernel_size // 2)
    return nn.Conv2d(*sizes, groups=channels, bias=False)


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
        if stride not in (1, 2):
            raise GhostifyError(f"`stride` (={stride}) must be 1 or 2")
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise GhostifyError(f"`kernel_size` (={kernel_size}) must be odd")
        self.out_channels = out_channels
        self.kernel_size = kernel_size
        self.stride = stride
        self.ghost1 = self._ghost(in_channels, hidden_channels, attend=attend)
        self._add_depthwise(hidden_channels)
        self.se = SqueezeExcite(hidden_channels) if excite else nn.Identity()
        self.ghost2 = self._ghost(hidden_channels, out_channels, relu=False)
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or in_channels != out_channels:
            self.shortcut = nn.Sequential(
                _depthwise(in_channels, kernel_size, stride),
                nn.BatchNorm2d(in_channels),
                nn.Conv2d(in_channels, out_channels, 1, bias=False),
                nn.BatchNorm2d(out_channels),
            )

    _ghost: Callable[..., nn.Module] = staticmethod(_pointwise_ghost)

    def _add_depthwise(self, channels: int) -> None:
        self.conv_dw: nn.Module = nn.Identity()
        self.bn_dw: nn.Module = nn.Identity()
        if self.stride > 1:
            self.conv_dw = _depthwise(channels, self.kernel_size, self.stride)
            self.bn_dw = nn.BatchNorm2d(channels)

    def _downsample(self, x: Tensor) -> Tensor:
        out: Tensor = self.bn_dw(self.conv_dw(x))
        return out

    def forward(self, x: Tensor) -> Tensor:
        features = self._downsample(self.ghost1(x))
        out: Tensor = self.ghost2(self.se(features)) + self.shortcut(x)
        return out
