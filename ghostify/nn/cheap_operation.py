"""The cheap operation: ghost feature maps from intrinsic ones."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ghostify.nn.channel_ops import first_channels


class CheapOperation(nn.Module):
    """Linear d x d operations on single feature maps, Phi of Eq. 3 (arXiv 1911.11907).

    Ghost ``j`` is computed from intrinsic feature map ``j % in_channels``: blocks of
    ``in_channels`` ghosts, each a depthwise convolution, the last one as wide as what remains.
    Inference runtimes have fast kernels for these, and none for one grouped convolution with a
    channel multiplier. A 1x1 kernel is computed as a multiplication by channel.

    Args:
        in_channels: m, the number of intrinsic feature maps.
        out_channels: the number of ghosts; any number.
        dw_size: d, the kernel size; odd. Padding is ``d // 2``, the stride 1.
        bias: add a learnable bias to each ghost.

    Shape:
        ``(N, in_channels, H, W)`` or without N -> ``(N, out_channels, H, W)``.
        ``weight`` is ``(out_channels, 1, d, d)``.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        dw_size: int,
        *,
        bias: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.dw_size = dw_size
        weight = torch.empty(out_channels, 1, dw_size, dw_size, device=device, dtype=dtype)
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(weight.new_empty(out_channels)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialize as ``torch.nn.Conv2d`` does for this fan-in."""
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            nn.init.uniform_(self.bias, -1 / self.dw_size, 1 / self.dw_size)

    def forward(self, intrinsic: Tensor) -> Tensor:
        sizes = (self.in_channels, self.out_channels, self.dw_size)
        ghosts = ghost_blocks(intrinsic, self.weight, self.bias, *sizes)
        return ghosts[0] if len(ghosts) == 1 else torch.cat(ghosts, -3)

    def extra_repr(self) -> str:
        channels = f"{self.in_channels}, {self.out_channels}"
        return f"{channels}, dw_size={self.dw_size}, bias={self.bias is not None}"


def block_ranges(in_channels: int, out_channels: int) -> list[tuple[int, int]]:
    """Return the first ghost and the number of ghosts of each block."""
    starts = range(0, out_channels, in_channels)
    return [(start, min(in_channels, out_channels - start)) for start in starts]


def ghost_blocks(
    intrinsic: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    in_channels: int,
    out_channels: int,
    dw_size: int,
) -> list[Tensor]:
    """Compute a `CheapOperation` block by block. Sizes are arguments so that fx can trace it."""
    ghosts = []
    for start, size in block_ranges(in_channels, out_channels):
        source = first_channels(intrinsic, size, in_channels)
        kernel = weight if size == out_channels else weight.narrow(0, start, size)
        shift = None if bias is None else bias.narrow(0, start, size)
        if dw_size > 1:
            padding = (dw_size // 2, dw_size // 2)  # FX quantization needs every argument, in pairs
            ghost = F.conv2d(source, kernel, shift, (1, 1), padding, (1, 1), size)
        else:
            ghost = source * _as_type(kernel.view(size, 1, 1), source)
            if shift is not None:
                ghost = ghost + _as_type(shift.view(size, 1, 1), source)
        ghosts.append(ghost)
    return ghosts


def _as_type(weight: Tensor, source: Tensor) -> Tensor:
    """Cast ``weight`` to the type of ``source``: autocast does so for convolutions only."""
    return weight if weight.dtype is source.dtype else weight.to(source.dtype)
