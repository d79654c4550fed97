"""Recognize convolutions of all classes and functions, and read their geometry."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from torch import nn
from torch.jit import ScriptModule
from torch.nn import functional as F
from torch.nn.modules.conv import _ConvNd

from ghostify.nn import GhostModule, GhostModuleV2, GhostModuleV3
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
    if isinstance(module, (GhostModule, GhostModuleV2, GhostModuleV3)):
        return True
    halves = dict(module.named_children()).keys() >= _HALVES
    return halves and type(module).__name__.startswith("GhostModule")


def class_name(module: nn.Module) -> str:
    """Return the class name of a module; of a scripted one, that of its source."""
    return str(getattr(module, "original_name", type(module).__name__))


def _has_conv_attributes(module: nn.Module) -> bool:
    values = {name: getattr(module, name, None) for name in Geometry.__slots__}
    return (
        all(_is_positive(values[name]) for name in ("in_channels", "out_channels", "groups"))
        and all(_is_size(values[name]) for name in ("kernel_size", "stride", "dilation"))
        and (isinstance(values["padding"], str) or _is_size(values["padding"]))
    )


def _is_positive(value: Any) -> bool:
    return isinstance(value, int) and value > 0


def _is_size(value: Any) -> bool:
    numbers = value if isinstance(value, (list, tuple)) else (value,)
    return all(isinstance(number, int) for number in numbers)


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

_DEFAULTS = {"stride": 1, "padding": 0, "dilation": 1}


def is_transposed(function: Callable[..., Any]) -> bool:
    """Whether one of `FUNCTIONS` is a transposed convolution."""
    return FUNCTIONS[function] is _TRANSPOSED


def functional_geometry(function: Callable[..., Any], arguments: dict[str, Any]) -> Geometry:
    """Return the geometry of one call; channels and kernel size are those of the weight."""
    first, second, *kernel = arguments["weight"].shape
    groups = arguments.get("groups", 1)
    transposed = is_transposed(function)
    call = SimpleNamespace(
        in_channels=first if transposed else second * groups,
        out_channels=second * groups if transposed else first,
        kernel_size=kernel,
        groups=groups,
        bias=arguments.get("bias"),
        **{name: arguments.get(name, value) for name, value in _DEFAULTS.items()},
    )
    return Geometry.of(call)
