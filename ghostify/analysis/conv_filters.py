"""Convolutions of which some filters can be taken, subclasses of ``Conv2d`` included."""

from __future__ import annotations

from typing import TypeVar

from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from ghostify.analysis.model_copy import copy_model

Conv = TypeVar("Conv", bound=nn.Conv2d)

INDEPENDENT_FILTERS = {
    "timm.layers.conv2d_same.Conv2dSame",
    "timm.layers.std_conv.ScaledStdConv2d",
    "timm.layers.std_conv.ScaledStdConv2dSame",
    "timm.layers.std_conv.StdConv2d",
    "timm.layers.std_conv.StdConv2dSame",
    "timm.models.resnetv2.StdConv2d",
    "efficientnet_pytorch.utils.Conv2dDynamicSamePadding",
    "efficientnet_pytorch.utils.Conv2dStaticSamePadding",
    "efficientnet_lite_pytorch.utils.Conv2dDynamicSamePadding",
    "efficientnet_lite_pytorch.utils.Conv2dStaticSamePadding",
    "segmentation_models_pytorch.encoders._efficientnet.Conv2dStaticSamePadding",
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
    kind = type(module)
    return is_plain_conv(module) or f"{kind.__module__}.{kind.__qualname__}" in INDEPENDENT_FILTERS


def is_plain_conv(conv: nn.Conv2d) -> bool:
    """Whether the forward is that of ``Conv2d`` and the weight is a parameter."""
    kind = type(conv)
    plain = kind.forward is nn.Conv2d.forward and kind._conv_forward is nn.Conv2d._conv_forward
    return plain and isinstance(conv._parameters.get("weight"), nn.Parameter)


def first_filters(conv: Conv, number: int) -> Conv:
    """Return a copy of ``conv``, whose filters are independent, with its first ``number``."""
    sliced = copy_model(
        conv,
        {
            parameter: nn.Parameter(
                parameter.detach()[:number].clone(), requires_grad=parameter.requires_grad
            )
            for parameter in conv.parameters()
        },
    )
    sliced.out_channels = number
    return sliced
