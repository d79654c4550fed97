"""Which modules are convolutions, of whatever kind."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.jit import ScriptModule
from torch.nn.modules.conv import _ConvNd

from ghostify.layers import GhostModule
from ghostify.spec import Geometry

_NUMBERS = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups")


def is_convolution(module: nn.Module) -> bool:
    """Whether ``module`` is a convolution: torch's own, or one that has all of its numbers.

    The latter are quantised, scripted, conditional or deformable convolutions; a module that only
    wraps convolutions is none.
    """
    if isinstance(module, _ConvNd):
        return True
    if isinstance(module, GhostModule) or not all(hasattr(module, name) for name in _NUMBERS):
        return False
    return isinstance(module, ScriptModule) or not any(map(is_convolution, module.children()))


def geometry_of(module: Any) -> Geometry:
    """The numbers of any convolution module, also of one that is not torch's own."""
    if isinstance(module, _ConvNd):
        return Geometry.of(module)
    kernel = module.kernel_size
    dimensions = 2 if isinstance(kernel, int) else len(kernel)

    def each(value: Any) -> tuple[int, ...]:
        return (value,) * dimensions if isinstance(value, int) else tuple(value)

    return Geometry(
        in_channels=module.in_channels,
        out_channels=module.out_channels,
        kernel_size=each(kernel),
        stride=each(module.stride),
        padding=module.padding if isinstance(module.padding, str) else each(module.padding),
        dilation=each(module.dilation),
        groups=module.groups,
        bias=getattr(module, "bias", None) is not None,
        padding_mode=getattr(module, "padding_mode", "zeros"),
    )
