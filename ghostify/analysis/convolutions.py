"""Recognize convolutions and Ghost modules of all classes, and take filters of a convolution."""

from __future__ import annotations

from typing import Any, TypeVar

from torch import nn
from torch.jit import ScriptModule
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils.parametrize import is_parametrized

from ghostify.analysis.model_copy import copy_model
from ghostify.nn import GhostModule, GhostModuleV2, GhostModuleV3
from ghostify.nn.hooks import has_hooks
from ghostify.types import Geometry

Conv = TypeVar("Conv", bound=nn.Conv2d)

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

    The latter two are recognized by their class name and the names of their halves, also where
    they have branches or do not run; those of other code by `ghost_structure`. RepGhost
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


PADDING_THEMSELVES = {
    "timm.layers.conv2d_same.Conv2dSame",
    "efficientnet_pytorch.utils.Conv2dDynamicSamePadding",
    "efficientnet_pytorch.utils.Conv2dStaticSamePadding",
    "efficientnet_lite_pytorch.utils.Conv2dDynamicSamePadding",
    "efficientnet_lite_pytorch.utils.Conv2dStaticSamePadding",
    "segmentation_models_pytorch.encoders._efficientnet.Conv2dStaticSamePadding",
}
"""Subclasses of ``Conv2d`` that pad the input and then convolve it as ``Conv2d`` does."""

INDEPENDENT_FILTERS = PADDING_THEMSELVES | {
    "timm.layers.std_conv.ScaledStdConv2d",
    "timm.layers.std_conv.ScaledStdConv2dSame",
    "timm.layers.std_conv.StdConv2d",
    "timm.layers.std_conv.StdConv2dSame",
    "timm.models.resnetv2.StdConv2d",
    "transformers.models.bit.modeling_bit.WeightStandardizedConv2d",
}
"""Subclasses of ``Conv2d`` that override forward and still treat each filter by itself."""


def has_independent_filters(module: nn.Module) -> bool:
    """Whether each output channel of a convolution depends only on one filter and the input.

    True for ``Conv2d``, for subclasses that keep its forward, and for `INDEPENDENT_FILTERS`.
    """
    if not isinstance(module, nn.Conv2d) or is_parametrized(module):
        return False
    filters = module.out_channels
    if any(parameter.shape[:1] != (filters,) for parameter in module.parameters()):
        return False
    if "weight" not in dict(module.named_parameters(recurse=False)):
        return False
    return is_plain_conv(module) or _qualified_class(module) in INDEPENDENT_FILTERS


def is_plain_conv(conv: nn.Conv2d) -> bool:
    """Whether the forward is that of ``Conv2d`` and the weight is a parameter."""
    kind = type(conv)
    plain = kind.forward is nn.Conv2d.forward and kind._conv_forward is nn.Conv2d._conv_forward
    return plain and isinstance(conv._parameters.get("weight"), nn.Parameter)


def is_plain_layer(layer: nn.Module) -> bool:
    """Whether a layer only convolves or multiplies with its weight and adds its bias."""
    if is_parametrized(layer) or has_hooks(layer):
        return False
    if isinstance(layer, nn.Conv2d):
        return is_plain_conv(layer) or _qualified_class(layer) in PADDING_THEMSELVES
    return type(layer) is nn.Linear or _qualified_class(layer) == "timm.layers.linear.Linear"


def _qualified_class(module: nn.Module) -> str:
    return f"{type(module).__module__}.{type(module).__qualname__}"


def first_filters(conv: Conv, number: int) -> Conv:
    """Return a copy of ``conv``, whose filters are independent, with its first ``number``."""
    sliced = copy_model(
        conv,
        {p: nn.Parameter(p.detach()[:number].clone(), p.requires_grad) for p in conv.parameters()},
    )
    sliced.out_channels = number
    return sliced
