"""All maps of a linear Ghost module in one tensor, which is all that its backward keeps of them.

The cheap operation's backward needs the intrinsic maps, and these are a part of the output: that is
kept instead of them, and costs nothing where what follows keeps it as well, such as a batch norm.
Something may write over it before the backward pass, such as ``ReLU(inplace=True)``; then the
primary convolution is run once more, on the input that it has kept for its own backward.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ghostify.layers.cheap import blocks, ghosts_in_blocks


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
