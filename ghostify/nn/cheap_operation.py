"""The cheap operation: ghosts from intrinsic maps."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class CheapOperation(nn.Module):
    """Linear d x d operations on single maps, Phi of Eq. 3 (arXiv 1911.11907).

    Ghost ``j`` is made of intrinsic map ``j % in_channels``: blocks of ``in_channels`` ghosts,
    each one a depthwise convolution, the last one trimmed to what is left. Inference runtimes
    have fast kernels for these, and none for one grouped convolution with a channel multiplier.
    A 1x1 kernel is a multiplication by channel and is computed as such.

    Args:
        in_channels: m, the intrinsic maps.
        out_channels: the ghosts to make, any number of them.
        dw_size: d, odd; padded by ``d // 2``, stride 1.
        bias: whether each ghost has a constant added.

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
        self.weight = nn.Parameter(
            torch.empty(out_channels, 1, dw_size, dw_size, device=device, dtype=dtype)
        )
        self.bias = (
            nn.Parameter(torch.empty(out_channels, device=device, dtype=dtype)) if bias else None
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Random values, drawn as ``torch.nn.Conv2d`` draws them for this fan-in."""
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            nn.init.uniform_(self.bias, -1 / self.dw_size, 1 / self.dw_size)

    def forward(self, intrinsic: Tensor) -> Tensor:
        ghosts = ghosts_in_blocks(
            intrinsic, self.weight, self.bias, self.in_channels, self.out_channels, self.dw_size
        )
        return ghosts[0] if len(ghosts) == 1 else torch.cat(ghosts, -3)

    def extra_repr(self) -> str:
        return (
            f"{self.in_channels}, {self.out_channels}, dw_size={self.dw_size}, "
            f"bias={self.bias is not None}"
        )


def blocks(in_channels: int, out_channels: int) -> list[tuple[int, int]]:
    """First ghost and number of ghosts of each block."""
    return [
        (start, min(in_channels, out_channels - start))
        for start in range(0, out_channels, in_channels)
    ]


def ghosts_in_blocks(
    intrinsic: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    in_channels: int,
    out_channels: int,
    dw_size: int,
) -> list[Tensor]:
    """The ghosts of a `CheapOperation`, block by block. Numbers are given, so that fx can trace."""
    ghosts = []
    for start, size in blocks(in_channels, out_channels):
        maps = intrinsic if size == in_channels else intrinsic.narrow(-3, 0, size)
        part = weight if size == out_channels else weight.narrow(0, start, size)
        constant = None if bias is None else bias.narrow(0, start, size)
        if dw_size > 1:
            made = F.conv2d(maps, part, constant, padding=dw_size // 2, groups=size)
        else:
            made = maps * _like(maps, part.view(size, 1, 1))
            if constant is not None:
                made = made + _like(maps, constant.view(size, 1, 1))
        ghosts.append(made)
    return ghosts


def _like(maps: Tensor, weight: Tensor) -> Tensor:
    """In the type of ``maps``: autocast casts the weights of convolutions, and of nothing else."""
    return weight if weight.dtype is maps.dtype else weight.to(maps.dtype)
