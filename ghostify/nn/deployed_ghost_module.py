"""The Ghost module as it is computed fastest, once nothing is trained any more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ghostify.nn.cheap_operation import CheapOperation
from ghostify.nn.ghost_module import GhostModule


@dataclass(frozen=True)
class Affine:
    """``scale * x + shift`` by channel, in double precision; each ``(channels,)``."""

    scale: Tensor
    shift: Tensor

    @classmethod
    def from_norm(cls, norm: nn.Module) -> Affine:
        """What a batch norm with running statistics does in evaluation mode."""
        mean = norm.get_buffer("running_mean").detach().double()
        variance = norm.get_buffer("running_var").detach().double()
        weight, bias = getattr(norm, "weight", None), getattr(norm, "bias", None)
        scale = (variance + float(norm.eps)).rsqrt()  # type: ignore[arg-type]
        if weight is not None:
            scale = scale * weight.detach().double()
        shift = -mean * scale
        return cls(scale, shift if bias is None else shift + bias.detach().double())

    @classmethod
    def identity(cls, channels: int, device: torch.device) -> Affine:
        """Leaves ``channels`` channels as they are."""
        ones = torch.ones(channels, dtype=torch.float64, device=device)
        return cls(ones, torch.zeros_like(ones))

    def after(self, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
        """Weight and bias of one layer that does what this does behind another.

        Args:
            weight: that of a convolution or linear layer, ``(channels, ...)``.
            bias: ``(channels,)``.
        """
        scaled = weight.double() * self.scale.view(-1, *[1] * (weight.dim() - 1))
        shifted = self.shift if bias is None else self.shift + self.scale * bias.double()
        return scaled.to(weight.dtype), shifted.to(weight.dtype)

    def __getitem__(self, channels: slice | Tensor) -> Affine:
        return Affine(self.scale[channels], self.shift[channels])


class ChannelAffine(nn.Module):
    """A scale and a shift for each channel.

    For inference runtimes it is a batch norm, which they fuse with what is around it. In eager
    mode ``addcmul`` is faster than that, and a 1x1 depthwise convolution would be the slowest.

    Shape:
        ``(N, C, H, W)`` or without N, and the same out.
    """

    def __init__(self, scale: Tensor, shift: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(scale.detach().clone())
        self.bias = nn.Parameter(shift.detach().clone())
        self.register_buffer("mean", torch.zeros_like(scale))
        self.register_buffer("variance", torch.ones_like(scale))

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() == 3 or not torch.compiler.is_exporting():
            return torch.addcmul(self.bias.view(-1, 1, 1), x, self.weight.view(-1, 1, 1))
        return F.batch_norm(
            x,
            self.get_buffer("mean"),
            self.get_buffer("variance"),
            self.weight,
            self.bias,
            eps=0.0,
        )

    def extra_repr(self) -> str:
        return str(len(self.weight))


class DeployedGhostModule(nn.Module):
    """A Ghost module with the batch norms behind its halves folded into them.

    The ghosts are made of the maps as the primary convolution gives them. A batch norm behind the
    concatenation therefore goes into the cheap operation for the ghosts, and stays a scale and a
    shift for the intrinsic maps: within the primary convolution they would change the ghosts, near
    the border beyond repair, as the cheap operation's zero padding has no shift.

    Args:
        primary: makes the intrinsic maps.
        intrinsic: what is done to these before they are handed out.
        cheap: each makes a block of ghosts of the first intrinsic maps.
        widths: of how many.
        order: as that of `GhostModule`.
    """

    def __init__(
        self,
        primary: nn.Module,
        intrinsic: nn.Module,
        cheap: Sequence[nn.Module],
        widths: Sequence[int],
        order: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.primary = primary
        self.intrinsic = intrinsic
        self.cheap = nn.ModuleList(cheap)
        self.widths = tuple(widths)
        self.order: Tensor | None
        self.register_buffer("order", order)
        self.register_buffer("rank", None if order is None else order.argsort())

    @classmethod
    def from_module(cls, ghost: GhostModule, norm: Affine | None = None) -> DeployedGhostModule:
        """What ``ghost`` does in evaluation mode, and then ``norm`` to its outputs.

        Args:
            ghost: of either flavour, with the batch norms in its halves folded already. One with
                activations takes no ``norm``.
        """
        primary, cheap = ghost.primary_conv, ghost.cheap_operation
        operation, *rest = cheap
        assert isinstance(operation, CheapOperation)
        intrinsic: nn.Module = nn.Identity()
        weight: Tensor = operation.weight
        bias: Tensor | None = operation.bias
        m = operation.in_channels
        if norm is not None:
            by_rank = norm if ghost.order is None else norm[ghost.order.argsort()]
            weight, bias = by_rank[m:].after(weight, bias)
            scale, shift = by_rank.scale[:m], by_rank.shift[:m]
            intrinsic = ChannelAffine(scale.to(weight.dtype), shift.to(weight.dtype))
        starts = range(0, len(weight), m)
        blocks = [
            _block(weight[i : i + m], None if bias is None else bias[i : i + m]) for i in starts
        ]
        return cls(
            primary[0] if len(primary) == 1 else primary,
            intrinsic,
            [nn.Sequential(block, *rest) if rest else block for block in blocks],
            [min(m, len(weight) - i) for i in starts],
            ghost.order,
        )

    def forward(self, x: Tensor) -> Tensor:
        u = self.primary(x)
        m = u.shape[-3]
        ghosts = [
            cheap(u if width == m else u.narrow(-3, 0, width))
            for cheap, width in zip(self.cheap, self.widths, strict=True)
        ]
        maps = [self.intrinsic(u), *ghosts]
        whole = torch.cat(maps, -3)
        if self.order is None:
            return whole
        if torch.compiler.is_exporting():
            return whole.index_select(-3, self.order)
        # This keeps the memory format in eager mode; runtimes have no fast kernel for it.
        return torch.empty_like(whole).index_copy_(-3, self.get_buffer("rank"), whole)


def _block(weight: Tensor, bias: Tensor | None) -> nn.Module:
    """A depthwise convolution, or a multiplication by channel where the kernel is 1x1."""
    size, _, side, _ = weight.shape
    if side == 1:
        shift = weight.new_zeros(size) if bias is None else bias
        return ChannelAffine(weight.flatten(), shift)
    convolution = nn.Conv2d(
        size, size, side, padding=side // 2, groups=size, bias=bias is not None, device="meta"
    )
    convolution.weight = nn.Parameter(weight.detach().clone())
    if bias is not None:
        convolution.bias = nn.Parameter(bias.detach().clone())
    return convolution
