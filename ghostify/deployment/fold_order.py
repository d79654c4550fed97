"""Fold the output order of Ghost modules into the layers that read it."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import Any

import torch
from torch import nn

from ghostify.analysis.dataflow import Dataflow, Step, Value, is_norm, tensors_in
from ghostify.deployment.channelwise_ops import is_channelwise
from ghostify.deployment.fold_bn import is_plain_layer, is_shared
from ghostify.nn import GhostModule
from ghostify.nn.hooks import has_hooks

_aten = torch.ops.aten


@dataclass
class Region:
    """The values that have the order of one Ghost module, and the layers that read them.

    Attributes:
        spread: for each value, the number of adjacent entries of dimension 1 that belong to one
            channel; more than one after feature maps were flattened.
        channelwise: layers with parameters for each channel, such as a BatchNorm.
        mixing: layers that mix channels, with the spread of their input. The order ends here.
    """

    spread: dict[Value, int] = field(default_factory=dict)
    channelwise: set[str] = field(default_factory=set)
    mixing: dict[str, int] = field(default_factory=dict)


def foldable_orders(model: nn.Module, flow: Dataflow) -> dict[str, Region]:
    """Return the region of each Ghost module, by its name, whose order can be folded."""
    regions = {}
    for name, ghost in model.named_modules():
        if isinstance(ghost, GhostModule) and ghost.order is not None and name in flow.steps:
            region = _region(model, flow, name)
            if region is not None and not has_hooks(ghost):
                regions[name] = region
    return regions


def fold_order(model: nn.Module, name: str, region: Region) -> None:
    """Remove the order of a Ghost module and permute the weights of its region, in place."""
    ghost: Any = model.get_submodule(name)
    rank = ghost.order.argsort()
    ghost.order = None
    for layer in map(model.get_submodule, region.channelwise):
        for tensor in (*layer.parameters(recurse=False), *layer.buffers(recurse=False)):
            if tensor.dim():
                tensor.copy_(tensor.detach()[rank.to(tensor.device)])
    for layer_name in region.mixing:
        weight = _reading_layer(model.get_submodule(layer_name)).get_parameter("weight")
        by_channel = weight.detach().reshape(len(weight), len(rank), -1)
        weight.copy_(by_channel[:, rank].view_as(weight))


def _region(model: nn.Module, flow: Dataflow, name: str) -> Region | None:
    region = Region()
    channels = len(model.get_submodule(name).order)  # type: ignore[arg-type]
    todo = [(value, 1) for step in flow.steps[name] for value in step.outputs]
    if any(len(value.shape) != 4 for value, _ in todo):
        return None
    while todo:
        value, spread = todo.pop()
        region.spread[value] = spread
        for step in value.consumers:
            after = (
                _spread_after_layer(model, flow, step, spread, channels, region)
                if step.layer
                else _spread_after_operation(step, value, spread)
            )
            if after is None:
                return None
            todo += [(v, after) for v in step.outputs[:1]] if after else []
    layers = {*region.channelwise, *region.mixing}
    steps = (step for layer in layers for step in flow.steps[layer])
    return region if all(step.inputs[0] in region.spread for step in steps) else None


def _spread_after_layer(
    model: nn.Module, flow: Dataflow, step: Step, spread: int, channels: int, region: Region
) -> int | None:
    """Return the spread of the output; 0 if the order ends here; None if it cannot be folded."""
    layer = model.get_submodule(step.layer)
    if is_shared(step.layer, flow) or has_hooks(layer) or len(step.inputs) != 1:
        return None
    if is_norm(layer) and spread == 1 and not any(layer.children()):
        region.channelwise.add(step.layer)
        return 1
    if not is_plain_layer(_reading_layer(layer)):
        return None
    if isinstance(layer, nn.Conv2d) and layer.groups > 1:
        if not layer.groups == layer.out_channels == channels:
            return None
        region.channelwise.add(step.layer)
        return 1
    if region.mixing.setdefault(step.layer, spread) != spread:
        return None
    return 0 if len(step.inputs[0].shape) == (2 if isinstance(layer, nn.Linear) else 4) else None


def _spread_after_operation(step: Step, value: Value, spread: int) -> int | None:
    """Return the spread of the output, or None if the order cannot pass this operation."""
    if step.inputs != [value] or not step.outputs:
        return None
    before, after = value.shape, step.outputs[0].shape
    unary = len(tensors_in((step.args, step.kwargs))) == 1
    if unary and is_channelwise(step.operation, step.args, len(before)):
        return spread
    packet = getattr(step.operation, "overloadpacket", None)
    flat = (*before[:1], prod(before[1:]))
    if packet in (_aten.view, _aten._unsafe_view) and after == flat:
        return spread * prod(before[2:])
    return None


def _reading_layer(layer: nn.Module) -> nn.Module:
    """Return the layer whose weight has the input's channels."""
    return layer.primary_conv[0] if isinstance(layer, GhostModule) else layer
