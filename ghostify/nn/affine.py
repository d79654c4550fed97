"""A scale and a shift for each channel: what a BatchNorm computes in evaluation mode."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch._jit_internal import is_scripting
from torch.nn import functional as F

from ghostify.nn.channel_ops import is_traced, scale_channels


@dataclass(frozen=True)
class Affine:
    """``scale * x + shift`` by channel, in double precision; each ``(channels,)``."""

    scale: Tensor
    shift: Tensor

    @classmethod
    def from_norm(cls, norm: nn.Module) -> Affine:
        """Read a BatchNorm with running statistics."""
        mean = norm.get_buffer("running_mean").detach().double()
        variance = norm.get_buffer("running_var").detach().double()
        weight, bias = getattr(norm, "weight", None), getattr(norm, "bias", None)
        scale = (variance + float(norm.eps)).rsqrt()  # type: ignore[arg-type]
        if weight is not None:
            scale = scale * weight.detach().double()
        shift = -mean * scale
        return cls(scale, shift if bias is None else shift + bias.detach().double())

    def fold_into(self, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return weight, ``(channels, ...)``, and bias of a layer followed by this."""
        scaled = weight.double() * self.scale.view(-1, *[1] * (weight.dim() - 1))
        shifted = self.shift if bias is None else self.shift + self.scale * bias.double()
        return scaled.to(weight.dtype), shifted.to(weight.dtype)

    def __getitem__(self, channels: slice | Tensor) -> Affine:
        return Affine(self.scale[channels], self.shift[channels])


class ChannelAffine(nn.Module):
    """Multiply each channel by a scale and add a shift.

    Exported or traced, it is a BatchNorm, which runtimes fuse. In eager mode ``addcmul`` is faster
    than that, and a 1x1 depthwise convolution slowest.

    Shape:
        ``(N, C, H, W)`` or without N, in and out.
    """

    def __init__(self, scale: Tensor, shift: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(scale.detach().clone())
        self.bias = nn.Parameter(shift.detach().clone())
        self.mean: Tensor
        self.variance: Tensor
        self.register_buffer("mean", torch.zeros_like(scale))
        self.register_buffer("variance", torch.ones_like(scale))

    def forward(self, x: Tensor) -> Tensor:
        if not is_scripting():  # noqa: SIM102
            if (torch.compiler.is_exporting() or is_traced()) and x.dim() == 4:
                return F.batch_norm(x, self.mean, self.variance, self.weight, self.bias, eps=0.0)
        return scale_channels(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        return str(len(self.weight))
