"""The call of ``F.conv2d`` that a layer makes, whatever its class does around it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.utils import _pair
from torch.overrides import TorchFunctionMode


@dataclass(frozen=True)
class ConvCall:
    """A call of ``F.conv2d``.

    Attributes:
        x: ``(B, c, H, W)``.
        weight, bias: as the layer uses them, after any weight standardization; in float32.
        padding: zeros above and below, and left and right.
    """

    x: Tensor
    weight: Tensor
    bias: Tensor | None
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    padding: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0))

    @property
    def output_shape(self) -> tuple[int, int, int]:
        """Images, height and width of the output."""
        height, width = (
            (size + sum(zeros) - step * (side - 1) - 1) // stride + 1
            for size, zeros, side, step, stride in zip(
                self.x.shape[-2:],
                self.padding,
                self.weight.shape[-2:],
                self.dilation,
                self.stride,
                strict=True,
            )
        )
        return len(self.x), height, width


class _Intercepted(BaseException):
    """Ends a layer's forward at its convolution."""


class _Interception(TorchFunctionMode):
    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if function is F.conv2d or function is torch.conv2d:
            raise _Intercepted(_conv_call(*args, **(kwargs or {})))
        return function(*args, **(kwargs or {}))


def call_of(layer: nn.Module, args: tuple[Any, ...]) -> ConvCall:
    """Return the convolution that ``layer`` computes of ``args``, without running it.

    A linear layer counts as a 1x1 convolution of its tokens, each an image of one pixel.
    """
    if isinstance(layer, nn.Linear):
        weight = layer.weight[:, :, None, None].float()
        bias = None if layer.bias is None else layer.bias.float()
        return ConvCall(as_feature_maps(layer, args[0]), weight, bias)
    try:
        with _Interception():
            layer(*args)
    except _Intercepted as intercepted:
        call: ConvCall = intercepted.args[0]
        return call
    raise RuntimeError(f"{type(layer).__name__} calls no conv2d")


def as_feature_maps(layer: nn.Module, values: Tensor) -> Tensor:
    """Reshape the input or output of a convolution or linear layer to ``(B, n, H, W)``."""
    if isinstance(layer, nn.Linear):
        return values.reshape(-1, values.shape[-1])[:, :, None, None]
    return values if values.dim() == 4 else values[None]


def _conv_call(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> ConvCall:
    dilation = _pair(dilation)
    if padding == "same":
        spans = [step * (side - 1) for side, step in zip(weight.shape[2:], dilation, strict=True)]
        sides = [(span // 2, span - span // 2) for span in spans]
    else:
        sides = [(side, side) for side in _pair(0 if padding == "valid" else padding)]
    x = input if input.dim() == 4 else input[None]
    bias = None if bias is None else bias.float()
    return ConvCall(x, weight.float(), bias, _pair(stride), dilation, (sides[0], sides[1]))
