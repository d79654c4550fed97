"""Whether the maps of a Ghost module can be one operation, and what a primary has made them of."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch._C._functorch import get_dynamic_layer_stack_depth as count_transforms
from torch.autograd.forward_ad import unpack_dual
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

Made = tuple[Tensor, Tensor, Tensor | None]
"""Input, weight and bias of a convolution."""


def is_recorded() -> bool:
    """Whether autograd records, and nothing else does.

    Exporters see plain convolutions and a concatenation, which runtimes know, and functional
    transforms what they can transform.
    """
    return (
        torch.is_grad_enabled()
        and not torch.compiler.is_exporting()
        and not torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
        and count_transforms() == 0
    )


def has_hooks(module: nn.Module) -> bool:
    """Whether somebody watches the calls of a module."""
    hooks = (
        module._forward_pre_hooks,
        module._forward_hooks,
        module._backward_pre_hooks,
        module._backward_hooks,
    )
    return any(hooks)


def run(primary: nn.Module, x: Tensor) -> tuple[Tensor, Made | None]:
    """The intrinsic maps, and what they were made of if autograd keeps all of it anyway."""
    if torch.compiler.is_compiling():  # which follows neither function modes nor nodes
        return primary(x), _made_by_plain(primary, x)
    with _Convolutions() as convolutions:
        maps = primary(x)
    return maps, convolutions.made(maps)


def _made_by_plain(primary: nn.Module, x: Tensor) -> Made | None:
    layers = list(primary.modules())
    conv = layers[-1]
    if len(layers) != 2 or type(conv) is not nn.Conv2d or any(map(has_hooks, layers)):
        return None
    if x.dim() != 4 or conv.padding_mode != "zeros" or not conv.weight.requires_grad:
        return None
    return _made(x, conv.weight, conv.bias, conv.stride, conv.padding)


class _Convolutions(TorchFunctionMode):
    """Sees which convolution has made a tensor, whatever the class of the module."""

    def __init__(self) -> None:
        super().__init__()
        self._last: tuple[Any, Made | None] = None, None

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        if function is F.conv2d:
            self._last = result, _made(*args, **(kwargs or {}))
        return result

    def made(self, maps: Any) -> Made | None:
        result, made = self._last
        kind = type(getattr(maps, "grad_fn", None)).__name__
        if made is None or result is not maps or kind != "ConvolutionBackward0":
            return None
        dual = unpack_dual(maps)  # type: ignore[no-untyped-call]
        return made if made[1].requires_grad and dual.tangent is None else None


def _made(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    *_: Any,
    **__: Any,
) -> Made | None:
    """The tensors of a call of ``F.conv2d``, but for one that pads its input by itself."""
    if padding == "same" and any(side % 2 == 0 for side in weight.shape[-2:]):
        return None
    return input, weight, bias
