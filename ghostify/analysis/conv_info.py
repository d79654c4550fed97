"""Which modules are convolutions, of whatever kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.jit import ScriptModule
from torch.nn import functional as F
from torch.nn.modules.conv import _ConvNd

from ghostify.nn import AttendedGhost, BranchedGhost, GhostModule
from ghostify.types import Geometry

_NUMBERS = ("in_channels", "out_channels", "groups")
_HALVES = {"primary_conv", "cheap_operation"}
_SIZES = ("kernel_size", "stride", "dilation")


def is_convolution(module: nn.Module) -> bool:
    """Whether ``module`` is a convolution: torch's own, or one that has all of its numbers.

    The latter are quantised, scripted, conditional or deformable convolutions; a module that only
    wraps convolutions is none.
    """
    if isinstance(module, _ConvNd):
        return True
    if isinstance(module, GhostModule) or not _has_numbers(module):
        return False
    return isinstance(module, ScriptModule) or not any(map(is_convolution, module.children()))


def is_ghost(module: nn.Module) -> bool:
    """Whether ``module`` is a Ghost module: one of this package, of the authors' code, or of timm.

    The latter two are known by their name and by those of their halves. RepGhost's modules, which
    have halves of these names too, make all of their maps in the primary one.
    """
    if isinstance(module, (GhostModule, AttendedGhost, BranchedGhost)):
        return True
    halves = dict(module.named_children()).keys() >= _HALVES
    return halves and type(module).__name__.startswith("GhostModule")


def _has_numbers(module: nn.Module) -> bool:
    """Whether the attributes of a convolution are there, and are what they are in one."""
    padding = getattr(module, "padding", None)
    return (
        all(isinstance(getattr(module, name, None), int) for name in _NUMBERS)
        and all(_is_size(getattr(module, name, None)) for name in _SIZES)
        and (isinstance(padding, str) or _is_size(padding))
    )


def _is_size(value: Any) -> bool:
    """One number, or one for each dimension."""
    numbers = value if isinstance(value, (list, tuple)) else (value,)
    return all(isinstance(number, int) for number in numbers)


def geometry_of(module: Any) -> Geometry:
    """The numbers of any convolution module, also of one that is not torch's own."""
    if isinstance(module, _ConvNd):
        return Geometry.of(module)
    dimensions = _dimensions(module)

    def each(value: Any) -> tuple[int, ...]:
        return (value,) * dimensions if isinstance(value, int) else tuple(value)

    return Geometry(
        in_channels=module.in_channels,
        out_channels=module.out_channels,
        kernel_size=each(module.kernel_size),
        stride=each(module.stride),
        padding=module.padding if isinstance(module.padding, str) else each(module.padding),
        dilation=each(module.dilation),
        groups=module.groups,
        bias=getattr(module, "bias", None) is not None,
        padding_mode=getattr(module, "padding_mode", "zeros"),
    )


def _dimensions(module: Any) -> int:
    """How many a map has: two, where neither the kernel nor a weight of filters tells."""
    if not isinstance(module.kernel_size, int):
        return len(module.kernel_size)
    weight = getattr(module, "weight", None)
    return weight.dim() - 2 if isinstance(weight, Tensor) and weight.dim() > 2 else 2


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
