"""Convolutions that are called as functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch.nn import functional as F

from ghostify.spec import Geometry

_DIRECT = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
_TRANSPOSED = (
    "input", "weight", "bias", "stride", "padding", "output_padding", "groups", "dilation",
)  # fmt: skip

FUNCTIONS: dict[Callable[..., Any], tuple[str, ...]] = {
    F.conv1d: _DIRECT,
    F.conv2d: _DIRECT,
    F.conv3d: _DIRECT,
    F.conv_transpose1d: _TRANSPOSED,
    F.conv_transpose2d: _TRANSPOSED,
    F.conv_transpose3d: _TRANSPOSED,
}
"""The names of their positional arguments."""


def is_transposed(function: Callable[..., Any]) -> bool:
    """Whether one of `FUNCTIONS` is a transposed convolution."""
    return FUNCTIONS[function] is _TRANSPOSED


def functional_geometry(function: Callable[..., Any], arguments: dict[str, Any]) -> Geometry:
    """The geometry of one call, its channels and kernel read off the weight's shape."""
    first, second, *kernel = arguments["weight"].shape
    groups = arguments.get("groups", 1)
    transposed = is_transposed(function)
    padding = arguments.get("padding", 0)

    def each(value: Any) -> tuple[int, ...]:
        return (value,) * len(kernel) if isinstance(value, int) else tuple(value)

    return Geometry(
        in_channels=first if transposed else second * groups,
        out_channels=second * groups if transposed else first,
        kernel_size=tuple(kernel),
        stride=each(arguments.get("stride", 1)),
        padding=padding if isinstance(padding, str) else each(padding),
        dilation=each(arguments.get("dilation", 1)),
        groups=groups,
        bias=arguments.get("bias") is not None,
        padding_mode="zeros",
    )
