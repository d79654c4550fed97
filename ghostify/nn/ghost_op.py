"""All maps of a linear Ghost module in one tensor, which is all that its backward keeps of them.

The cheap operation's backward needs the intrinsic maps, and these are a part of the output: that is
kept instead of them, and costs nothing where what follows keeps it as well, such as a batch norm.
Something may write over it before the backward pass, such as ``ReLU(inplace=True)``; then the
primary convolution is run once more, on the input that it has kept for its own backward.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch._C._functorch import get_dynamic_layer_stack_depth as count_transforms
from torch.autograd.forward_ad import unpack_dual
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from ghostify.nn.cheap_operation import blocks, ghosts_in_blocks
from ghostify.nn.hooks import has_hooks


def in_order(maps: Tensor, order: Tensor | None) -> Tensor:
    """Channel ``order[j]`` as channel j, or all as they are."""
    if order is None:
        return maps
    # Unlike index_select, this keeps the memory format.
    return torch.empty_like(maps).index_copy_(-3, order.argsort(), maps)


@torch.library.custom_op("ghostify::ghost_maps", mutates_args=())
def ghost_maps(
    intrinsic: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    order: Tensor | None,
    source: Tensor,
    primary_weight: Tensor,
    primary_bias: Tensor | None,
) -> Tensor:
    """Intrinsic maps and their ghosts, concatenated and put in order.

    Args:
        intrinsic: ``(N, m, H, W)``, made by a convolution.
        weight: of the cheap operation, ``(n - m, 1, d, d)``.
        bias: ``(n - m,)``.
        order: ``(n,)``; output j is entry ``order[j]`` of the concatenation.
        source: what the convolution made ``intrinsic`` of.
        primary_weight: what it made them with.
        primary_bias: likewise.

    Returns:
        ``(N, n, H, W)``.
    """
    ghosts, _, dw_size, _ = weight.shape
    blocks = ghosts_in_blocks(intrinsic, weight, bias, intrinsic.shape[1], ghosts, dw_size)
    return in_order(torch.cat([intrinsic, *blocks], 1), order)


ghost_maps.register_fake(ghost_maps._init_fn)


class _Writing:
    """Sees whether a tensor has been written to since, without keeping its memory."""

    def __init__(self, tensor: Tensor) -> None:
        self._twin = tensor.detach()  # shares the version counter
        self._twin.data = tensor.new_empty(0)
        self._version = self._twin._version

    def __bool__(self) -> bool:
        return self._twin._version != self._version


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    intrinsic, *tensors = inputs
    ctx.primary = intrinsic.grad_fn
    ctx.intrinsic_channels = intrinsic.shape[-3]
    ctx.written = _Writing(output)
    # Autograd would refuse a written output; its data has a version counter of its own.
    ctx.save_for_backward(output.data, *tensors)


def _differentiate(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    maps, weight, _, order, *made = ctx.saved_tensors  # once: a checkpoint gives them once
    if ctx.written or torch.is_grad_enabled():  # written over, or to be derived itself
        intrinsic = _made_again(ctx.primary, *made, dtype=maps.dtype)
    elif order is None:
        intrinsic = maps.narrow(1, 0, ctx.intrinsic_channels).clone()  # dense, for fast kernels
    else:
        intrinsic = maps.index_select(1, order.argsort()[: ctx.intrinsic_channels])
    if order is not None:
        grad = torch.empty_like(grad).index_copy(1, order, grad)
    of_maps, of_ghosts = torch.split(grad, [ctx.intrinsic_channels, len(weight)], 1)
    of_weights = []
    for start, size in blocks(ctx.intrinsic_channels, len(weight)):
        part, of_weight = _differentiate_block(
            of_ghosts.narrow(1, start, size),
            intrinsic.narrow(1, 0, size),
            weight.narrow(0, start, size),
        )
        of_maps = _added(of_maps, part)
        of_weights.append(of_weight)
    of_bias = of_ghosts.sum((0, 2, 3)) if ctx.needs_input_grad[2] else None
    return of_maps, torch.cat(of_weights), of_bias, None, None, None, None


def _added(total: Tensor, part: Tensor) -> Tensor:
    """The sum, where ``part`` may have fewer channels."""
    size, rest = part.shape[1], total.shape[1] - part.shape[1]
    if rest == 0:
        return total + part
    return torch.cat([total.narrow(1, 0, size) + part, total.narrow(1, size, rest)], 1)


def _made_again(
    node: Any, source: Tensor, weight: Tensor, bias: Tensor | None, *, dtype: torch.dtype
) -> Tensor:
    """The convolution whose backward is ``node``, in the type that autocast has given it."""
    return torch.convolution(
        source.to(dtype),
        weight.to(dtype),
        None if bias is None else bias.to(dtype),
        node._saved_stride,
        node._saved_padding,
        node._saved_dilation,
        node._saved_transposed,
        node._saved_output_padding,
        node._saved_groups,
    )


def _differentiate_block(grad: Tensor, maps: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    size, _, dw_size, _ = weight.shape
    if dw_size == 1:
        return grad * weight.view(size, 1, 1), (grad * maps).sum((0, 2, 3)).view_as(weight)
    padding = dw_size // 2
    of_maps, of_weight, _ = torch.ops.aten.convolution_backward(
        grad, maps, weight, None, [1, 1], [padding, padding], [1, 1], False, [0, 0], size,
        [True, True, False],
    )  # fmt: skip
    return of_maps, of_weight


ghost_maps.register_autograd(_differentiate, setup_context=_keep)


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
    if len(layers) != 2 or type(conv) is not nn.Conv2d or has_hooks(primary):
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
