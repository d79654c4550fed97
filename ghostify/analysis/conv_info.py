"""Recognize convolutions of all classes and functions, and read their geometry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.jit import ScriptModule
from torch.nn import functional as F
from torch.nn.modules.conv import _ConvNd

from ghostify.nn import AttendedGhost, BranchedGhost, GhostModule
from ghostify.types import Geometry

_HALVES = {"primary_conv", "cheap_operation"}


def is_convolution(module: nn.Module) -> bool:
    """Whether ``module`` is a convolution: torch's own, or a module with all of its attributes.

    The latter are quantized, scripted, conditional or deformable convolutions. A module that wraps
    convolutions is not one.
    """
    if isinstance(module, _ConvNd):
        return True
    if isinstance(module, GhostModule) or not _has_conv_attributes(module):
        return False
    return isinstance(module, ScriptModule) or not any(map(is_convolution, module.children()))


def is_ghost(module: nn.Module) -> bool:
    """Whether ``module`` is a Ghost module of this package, of the authors' code or of timm.

    The latter two are recognized by their class name and the names of their halves. RepGhost
    modules have halves of these names too, but their primary convolution makes all feature maps.
    """
    if isinstance(module, (GhostModule, AttendedGhost, BranchedGhost)):
        return True
    halves = dict(module.named_children()).keys() >= _HALVES
    return halves and type(module).__name__.startswith("GhostModule")


def class_name(module: nn.Module) -> str:
    """Return the class name of a module; of a scripted one, that of its source."""
    return str(getattr(module, "original_name", type(module).__name__))


def _has_conv_attributes(module: nn.Module) -> bool:
    values = {name: getattr(module, name, None) for name in Geometry.__slots__}
    return (
        all(isinstance(values[name], int) for name in ("in_channels", "out_channels", "groups"))
        and all(_is_size(values[name]) for name in ("kernel_size", "stride", "dilation"))
        and (isinstance(values["padding"], str) or _is_size(values["padding"]))
    )


def _is_size(value: Any) -> bool:
    numbers = value if isinstance(value, (list, tuple)) else (value,)
    return all(isinstance(number, int) for number in numbers)


def geometry_of(module: Any) -> Geometry:
    """Read the geometry of any module that `is_convolution`."""
    dims = _spatial_dims(module)
    return Geometry(
        in_channels=module.in_channels,
        out_channels=module.out_channels,
        kernel_size=_each(module.kernel_size, dims),
        stride=_each(module.stride, dims),
        padding=_padding(module.padding, dims),
        dilation=_each(module.dilation, dims),
        groups=module.groups,
        bias=getattr(module, "bias", None) is not None,
        padding_mode=getattr(module, "padding_mode", "zeros"),
    )


def _each(value: Any, dims: int) -> tuple[int, ...]:
    return (value,) * dims if isinstance(value, int) else tuple(value)


def _padding(value: Any, dims: int) -> tuple[int, ...] | str:
    return value if isinstance(value, str) else _each(value, dims)


def _spatial_dims(module: Any) -> int:
    """Number of spatial dimensions; 2 if neither kernel size nor weight tells."""
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
"""Functional convolutions and the names of their positional arguments."""


def is_transposed(function: Callable[..., Any]) -> bool:
    """Whether one of `FUNCTIONS` is a transposed convolution."""
    return FUNCTIONS[function] is _TRANSPOSED


def functional_geometry(function: Callable[..., Any], arguments: dict[str, Any]) -> Geometry:
    """Return the geometry of one call; channels and kernel size are those of the weight."""
    first, second, *kernel = arguments["weight"].shape
    groups = arguments.get("groups", 1)
    transposed = is_transposed(function)
    return Geometry(
        in_channels=first if transposed else second * groups,
        out_channels=second * groups if transposed else first,
        kernel_size=tuple(kernel),
        stride=_each(arguments.get("stride", 1), len(kernel)),
        padding=_padding(arguments.get("padding", 0), len(kernel)),
        dilation=_each(arguments.get("dilation", 1), len(kernel)),
        groups=groups,
        bias=arguments.get("bias") is not None,
        padding_mode="zeros",
    )
