"""Memory-efficient autograd of the linear Ghost module.

The backward pass of the cheap operation needs the intrinsic feature maps. They are part of the
output, so the output is saved instead, which costs nothing if the next layer, such as a BatchNorm,
saves it too. If an in-place operation such as ``ReLU(inplace=True)`` overwrites the output, the
backward pass recomputes the primary convolution from its saved input.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch._C._functorch import get_dynamic_layer_stack_depth as count_transforms
from torch.autograd.forward_ad import unpack_dual
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from ghostify.nn.channel_ops import is_recorded, scatter_channels
from ghostify.nn.cheap_operation import block_ranges, ghost_blocks
from ghostify.nn.hooks import has_hooks


@torch.library.custom_op("ghostify::ghost_features", mutates_args=())
def ghost_features(
    intrinsic: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    order: Tensor | None,
    source: Tensor,
    primary_weight: Tensor,
    primary_bias: Tensor | None,
) -> Tensor:
    """Concatenate intrinsic feature maps and their ghosts, and permute the result.

    Args:
        intrinsic: ``(N, m, H, W)``, the output of a convolution.
        weight: of the cheap operation, ``(n - m, 1, d, d)``.
        bias: of the cheap operation, ``(n - m,)``.
        order: ``(n,)``; output j is entry ``order[j]`` of the concatenation.
        source, primary_weight, primary_bias: input, weight and bias of that convolution, for the
            backward pass.

    Returns:
        ``(N, n, H, W)``.
    """
    ghosts, _, dw_size, _ = weight.shape
    blocks = ghost_blocks(intrinsic, weight, bias, intrinsic.shape[1], ghosts, dw_size)
    features = torch.cat([intrinsic, *blocks], 1)
    return features if order is None else scatter_channels(features, order.argsort())


ghost_features.register_fake(ghost_features._init_fn)


class _WriteDetector:
    """Tells whether a tensor has been written to since, without keeping its memory."""

    def __init__(self, tensor: Tensor) -> None:
        self._twin = tensor.detach()  # shares the version counter
        self._twin.data = tensor.new_empty(0)
        self._version = self._twin._version

    def __bool__(self) -> bool:
        return self._twin._version != self._version


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    intrinsic, *tensors = inputs
    ctx.primary = intrinsic.grad_fn
    ctx.intrinsic_channels = intrinsic.shape[-3]
    ctx.written = _WriteDetector(output)
    # Autograd refuses a saved output that was written to; its data has its own version counter.
    ctx.save_for_backward(output.data, *tensors)


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    output, weight, _, order, *conv = ctx.saved_tensors  # read once: a checkpoint gives them once
    if ctx.written or torch.is_grad_enabled():  # is_grad_enabled: the gradient is differentiated
        intrinsic = _recompute(ctx.primary, *conv, dtype=output.dtype)
    elif order is None:
        intrinsic = output.narrow(1, 0, ctx.intrinsic_channels).clone()  # dense, for fast kernels
    else:
        intrinsic = output.index_select(1, order.argsort()[: ctx.intrinsic_channels])
    if order is not None:
        grad = torch.empty_like(grad).index_copy(1, order, grad)
    intrinsic_grad, ghost_grad = torch.split(grad, [ctx.intrinsic_channels, len(weight)], 1)
    weight_grads = []
    for start, size in block_ranges(ctx.intrinsic_channels, len(weight)):
        block_grad, weight_grad = _block_backward(
            ghost_grad.narrow(1, start, size),
            intrinsic.narrow(1, 0, size),
            weight.narrow(0, start, size),
        )
        intrinsic_grad = _add(intrinsic_grad, block_grad)
        weight_grads.append(weight_grad)
    bias_grad = ghost_grad.sum((0, 2, 3)) if ctx.needs_input_grad[2] else None
    return intrinsic_grad, torch.cat(weight_grads), bias_grad, None, None, None, None


def _add(total: Tensor, part: Tensor) -> Tensor:
    """Add ``part`` to the first channels of ``total``."""
    size, rest = part.shape[1], total.shape[1] - part.shape[1]
    if rest == 0:
        return total + part
    return torch.cat([total.narrow(1, 0, size) + part, total.narrow(1, size, rest)], 1)


def _recompute(
    node: Any, source: Tensor, weight: Tensor, bias: Tensor | None, *, dtype: torch.dtype
) -> Tensor:
    """Run the convolution whose backward is ``node``, in the type that autocast gave it."""
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


def _block_backward(grad: Tensor, source: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    size, _, dw_size, _ = weight.shape
    if dw_size == 1:
        return grad * weight.view(size, 1, 1), (grad * source).sum((0, 2, 3)).view_as(weight)
    padding = dw_size // 2
    source_grad, weight_grad, _ = torch.ops.aten.convolution_backward(
        grad, source, weight, None, [1, 1], [padding, padding], [1, 1], False, [0, 0], size,
        [True, True, False],
    )  # fmt: skip
    return source_grad, weight_grad


ghost_features.register_autograd(_backward, setup_context=_setup_context)


class ConvInputs(NamedTuple):
    """Input, weight and bias of a convolution."""

    source: Tensor
    weight: Tensor
    bias: Tensor | None


def is_training_step(x: Tensor) -> bool:
    """Return whether autograd records what is computed of ``x``, and nothing else does.

    Graph readers need plain operations, and functional transforms those that they can transform.
    """
    return torch.is_grad_enabled() and not is_recorded(x) and count_transforms() == 0


def run_primary(primary: nn.Module, x: Tensor) -> tuple[Tensor, ConvInputs | None]:
    """Return the intrinsic feature maps, and their inputs if autograd saves all of these anyway."""
    if torch.compiler.is_compiling():  # which follows neither function modes nor autograd nodes
        return primary(x), _inputs_of_plain_conv(primary, x)
    with _ConvRecorder() as recorder:
        intrinsic = primary(x)
    return intrinsic, recorder.inputs_of(intrinsic)


def _inputs_of_plain_conv(primary: nn.Module, x: Tensor) -> ConvInputs | None:
    layers = list(primary.modules())
    conv = layers[-1]
    if len(layers) != 2 or type(conv) is not nn.Conv2d or has_hooks(primary):
        return None
    if x.dim() != 4 or conv.padding_mode != "zeros" or not conv.weight.requires_grad:
        return None
    return _conv_inputs(x, conv.weight, conv.bias, conv.stride, conv.padding)


class _ConvRecorder(TorchFunctionMode):
    """Records the inputs of the last convolution, whatever module called it."""

    def __init__(self) -> None:
        super().__init__()
        self._last: tuple[Any, ConvInputs | None] = None, None

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func is F.conv2d:
            self._last = result, _conv_inputs(*args, **(kwargs or {}))
        return result

    def inputs_of(self, output: Any) -> ConvInputs | None:
        result, inputs = self._last
        node = type(getattr(output, "grad_fn", None)).__name__
        if inputs is None or result is not output or node != "ConvolutionBackward0":
            return None
        dual = unpack_dual(output)  # type: ignore[no-untyped-call]
        return inputs if inputs.weight.requires_grad and dual.tangent is None else None


def _conv_inputs(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    *_: Any,
    **__: Any,
) -> ConvInputs | None:
    """Return the tensors of a call of ``F.conv2d``, or None if that pads a copy of its input."""
    if padding == "same" and any(side % 2 == 0 for side in weight.shape[-2:]):
        return None
    return ConvInputs(input, weight, bias)
