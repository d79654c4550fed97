"""The numbers that define a convolution."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """A convolution's constructor arguments, under the names ``torch.nn.Conv2d`` gives them.

    ``kernel_size``, ``stride``, ``dilation`` and a numeric ``padding`` hold one number for each
    spatial dimension; ``padding`` may also be ``"same"`` or ``"valid"``.
    """

    in_channels: int
    out_channels: int
    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...] | str
    dilation: tuple[int, ...]
    groups: int
    bias: bool
    padding_mode: str

    @classmethod
    def of(cls, conv: Any) -> Geometry:
        """Read the geometry off any module that has the attributes of a convolution."""
        return cls(
            in_channels=conv.in_channels,
            out_channels=conv.out_channels,
            kernel_size=tuple(conv.kernel_size),
            stride=tuple(conv.stride),
            padding=conv.padding if isinstance(conv.padding, str) else tuple(conv.padding),
            dilation=tuple(conv.dilation),
            groups=conv.groups,
            bias=conv.bias is not None,
            padding_mode=conv.padding_mode,
        )

    @property
    def taps(self) -> int:
        """Weights of one filter over one input map (k x k)."""
        return prod(self.kernel_size)

    @property
    def weights(self) -> int:
        """All weights but the bias; also the MACs of one output position."""
        return self.out_channels * self.in_channels // self.groups * self.taps

    def __str__(self) -> str:
        parts = [_times(self.kernel_size), f"{self.in_channels}→{self.out_channels}"]
        if any(step != 1 for step in self.stride):
            parts.append("/" + _uniform(self.stride))
        if any(step != 1 for step in self.dilation):
            parts.append("dilation " + _uniform(self.dilation))
        if self.groups != 1:
            parts.append(f"g={self.groups}")
        return ", ".join(parts)


def _times(numbers: tuple[int, ...]) -> str:
    return "x".join(map(str, numbers))


def _uniform(numbers: tuple[int, ...]) -> str:
    return str(numbers[0]) if len(set(numbers)) == 1 else _times(numbers)
