"""ATen operations that treat all channels of feature maps alike, each by itself."""

from __future__ import annotations

from typing import Any

import torch

_aten = torch.ops.aten

CHANNELWISE = {
    _aten._adaptive_avg_pool2d, _aten.adaptive_avg_pool2d, _aten.add, _aten.alias,
    _aten.avg_pool2d, _aten.clamp, _aten.clone, _aten.div, _aten.dropout, _aten.elu, _aten.gelu,
    _aten.hardsigmoid, _aten.hardswish, _aten.hardtanh, _aten.leaky_relu, _aten.max_pool2d,
    _aten.max_pool2d_with_indices, _aten.mish, _aten.mul, _aten.reflection_pad2d, _aten.relu,
    _aten.relu6, _aten.rsub, _aten.selu, _aten.sigmoid, _aten.silu, _aten.softplus, _aten.sub,
    _aten.tanh, _aten.upsample_bicubic2d, _aten.upsample_bilinear2d, _aten.upsample_nearest2d,
}  # fmt: skip
"""Their overload packets. In-place variants are looked up by `out_of_place`."""


def is_channelwise(operation: Any, args: tuple[Any, ...], rank: int) -> bool:
    """Return whether an operation treats all channels of its first argument alike.

    Only that argument is checked: a second tensor may differ by channel.

    Args:
        operation: an ATen overload, such as ``torch.ops.aten.relu_.default``.
        args: its arguments.
        rank: the number of dimensions of the first argument; channels are dimension 1.
    """
    packet = getattr(out_of_place(operation), "overloadpacket", None)
    if packet is _aten.mean and rank > 2 and len(args) > 1 and args[1]:
        return not {dim % rank for dim in args[1]} & {0, 1}
    if packet is _aten.constant_pad_nd and len(args) > 1:
        return len(args[1]) <= 2 * (rank - 2)  # two numbers for each dimension, the last one first
    return packet in CHANNELWISE


def out_of_place(operation: Any) -> Any:
    """Return ``relu`` for ``relu_``, and so on; any other operation itself."""
    packet = getattr(operation, "overloadpacket", None)
    name = getattr(packet, "__name__", "")
    functional = getattr(_aten, name[:-1], None) if name.endswith("_") else None
    return getattr(functional, operation._overloadname, operation) if functional else operation
