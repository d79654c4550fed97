"""The Ghost bottleneck."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from ghostify.nn.dfc_attention import DFCAttention, GhostModuleV2
from ghostify.nn.ghost_module import GhostModule
from ghostify.nn.layers import SqueezeExcite
from ghostify.types import GhostifyError


class GhostBottleneck(nn.Module):
    """Two Ghost modules, the first to widen and the second to narrow, and a shortcut.

    GhostNet, Figure 3 (arXiv 1911.11907), with the names of the authors' code.
    Between the two stand, with stride 2, a depthwise convolution, and perhaps squeeze-excite.
    No activation follows the second one, nor the sum. The shortcut is the identity where the sizes
    agree, and else a depthwise and a pointwise convolution.

    Args:
        in_channels: of the input.
        hidden_channels: after the first Ghost module; the paper's expansion size.
        out_channels: of the output.
        kernel_size: of the depthwise convolutions, which are there only where the sizes change.
        stride: 1 or 2.
        excite: whether there is a squeeze-excite.
        attend: whether the maps of the first Ghost module are weighted by `DFCAttention`, as in
            GhostNetV2 (arXiv 2211.12905).

    Shape:
        ``(N, in_channels, H, W) -> (N, out_channels, ceil(H / stride), ceil(W / stride))``.

    Raises:
        GhostifyError: if ``stride`` is another number, or ``kernel_size`` is even.
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
        check_sizes(kernel_size, stride)
        ghost = activated_ghost(in_channels, hidden_channels)
        attention = DFCAttention(in_channels, hidden_channels) if attend else None
        between: tuple[nn.Module, nn.Module] = (nn.Identity(), nn.Identity())
        if stride > 1:
            conv = depthwise(hidden_channels, kernel_size, stride)
            between = (conv, nn.BatchNorm2d(hidden_channels))
        self._assemble(
            ghost if attention is None else GhostModuleV2(ghost, attention),
            *between,
            SqueezeExcite(hidden_channels) if excite else nn.Identity(),
            activated_ghost(hidden_channels, out_channels, relu=False),
            shortcut(in_channels, out_channels, kernel_size, stride),
        )

    @classmethod
    def from_parts(cls, *parts: nn.Module) -> GhostBottleneck:
        """A bottleneck of the parts that are there already.

        Args:
            parts: the first Ghost module, the convolution between and its batch norm, the
                squeeze-excite, the second Ghost module, and the shortcut; ``Identity`` for none.
        """
        block = cls.__new__(cls)
        nn.Module.__init__(block)
        block._assemble(*parts)
        return block

    def _assemble(
        self,
        ghost1: nn.Module,
        conv_dw: nn.Module,
        bn_dw: nn.Module,
        se: nn.Module,
        ghost2: nn.Module,
        shortcut: nn.Module,
    ) -> None:
        self.ghost1 = ghost1
        self.conv_dw = conv_dw
        self.bn_dw = bn_dw
        self.se = se
        self.ghost2 = ghost2
        self.shortcut = shortcut
        self.out_channels = ghost2.out_channels
        self.stride = 2 if isinstance(conv_dw, nn.Conv2d) else 1

    def forward(self, x: Tensor) -> Tensor:
        maps = self.bn_dw(self.conv_dw(self.ghost1(x)))
        out: Tensor = self.ghost2(self.se(maps)) + self.shortcut(x)
        return out


def activated_ghost(in_channels: int, out_channels: int, *, relu: bool = True) -> GhostModule:
    """A pointwise Ghost module as in the authors' code: s = 2, d = 3, a batch norm in each half."""
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
    """A depthwise convolution, padded to keep the size."""
    return nn.Conv2d(
        channels, channels, kernel_size, stride, kernel_size // 2, groups=channels, bias=False
    )


def shortcut(in_channels: int, out_channels: int, kernel_size: int, stride: int) -> nn.Module:
    """The way round a bottleneck."""
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    return nn.Sequential(
        depthwise(in_channels, kernel_size, stride),
        nn.BatchNorm2d(in_channels),
        nn.Conv2d(in_channels, out_channels, 1, bias=False),
        nn.BatchNorm2d(out_channels),
    )


def check_sizes(kernel_size: int, stride: int) -> None:
    """See that a bottleneck can have these.

    Raises:
        GhostifyError: if it cannot.
    """
    if stride not in (1, 2):
        raise GhostifyError(f"stride (={stride}) must be 1 or 2")
    if kernel_size < 1 or kernel_size % 2 == 0:
        raise GhostifyError(f"kernel_size (={kernel_size}) must be odd")
