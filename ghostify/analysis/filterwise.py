"""Convolutions with fewer filters, of whatever class they are."""

from __future__ import annotations

from typing import TypeVar

from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from ghostify.analysis.model_copy import copy_model

Conv = TypeVar("Conv", bound=nn.Conv2d)

FILTERWISE = {
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
"""Subclasses of ``Conv2d`` with a forward of their own that treats each filter by itself."""


def is_filterwise(module: nn.Module) -> bool:
    """Whether each output map of a convolution depends on one filter alone, and on its input.

    So it is for ``Conv2d``, for subclasses that leave its forward as it is, and for `FILTERWISE`.
    """
    if not isinstance(module, nn.Conv2d) or is_parametrized(module):
        return False
    filters = module.out_channels
    if any(parameter.shape[:1] != (filters,) for parameter in module.parameters()):
        return False
    if "weight" not in dict(module.named_parameters(recurse=False)):
        return False
    kind = type(module)
    return is_plain_conv(module) or f"{kind.__module__}.{kind.__qualname__}" in FILTERWISE


def is_plain_conv(conv: nn.Conv2d) -> bool:
    """Whether its forward is that of ``Conv2d``, and its weight what it convolves with."""
    kind = type(conv)
    plain = kind.forward is nn.Conv2d.forward and kind._conv_forward is nn.Conv2d._conv_forward
    return plain and isinstance(conv._parameters.get("weight"), nn.Parameter)


def narrowed(conv: Conv, filters: int) -> Conv:
    """A copy of ``conv`` with the first ``filters`` of its filters.

    Every parameter of a filterwise convolution has the filters as its first dimension.
    """
    narrow = copy_model(
        conv,
        {
            parameter: nn.Parameter(
                parameter.detach()[:filters].clone(), requires_grad=parameter.requires_grad
            )
            for parameter in conv.parameters()
        },
    )
    narrow.out_channels = filters
    return narrow
