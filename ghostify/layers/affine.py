"""A scale and a shift for each channel: what a batch norm is in evaluation mode."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ghostify.layers.parts import are_kept_apart


@dataclass(frozen=True)
class Affine:
    """``scale * x + shift`` by channel, in double precision; each ``(channels,)``."""

    scale: Tensor
    shift: Tensor

    @classmethod
    def of(cls, norm: nn.Module) -> Affine:
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
        if x.dim() == 3 or not are_kept_apart():
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
