"""The order of a Ghost module's outputs, moved into the layers that read them."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import Any

import torch
from torch import nn

from ghostify.analysis.dataflow import Dataflow, Step, Value, is_norm, tensors_in
from ghostify.deployment.channelwise_ops import is_channelwise
from ghostify.deployment.fold_bn import is_plain_layer
from ghostify.nn import GhostModule
from ghostify.nn.hooks import has_hooks

_aten = torch.ops.aten


@dataclass
class Region:
    """All values that have one Ghost module's order, and the layers that know of it.

    Attributes:
        spread: by value, how many neighbours in its dimension 1 are of one channel; more than one
            where maps have been flattened.
        along: layers that treat each channel by itself, with parameters for each.
        ends: layers that mix the channels, and take up their order.
    """

    spread: dict[Value, int] = field(default_factory=dict)
    along: set[str] = field(default_factory=set)
    ends: dict[str, int] = field(default_factory=dict)


def movable(model: nn.Module, flow: Dataflow) -> dict[str, Region]:
    """By the name of a Ghost module with an order, where that can go."""
    regions = {}
    for name, ghost in model.named_modules():
        if isinstance(ghost, GhostModule) and ghost.order is not None and name in flow.steps:
            region = _region(model, flow, name)
            if region is not None and not has_hooks(ghost):
                regions[name] = region
    return regions


def move(model: nn.Module, name: str, region: Region) -> None:
    """Take the order off a Ghost module of ``model``, in place, and give it to its readers."""
    ghost: Any = model.get_submodule(name)
    rank = ghost.order.argsort()
    ghost.order = None
    for layer in map(model.get_submodule, region.along):
        for tensor in (*layer.parameters(recurse=False), *layer.buffers(recurse=False)):
            if tensor.dim():
                tensor.copy_(tensor.detach()[rank.to(tensor.device)])
    for layer_name in region.ends:
        weight = _mixing(model.get_submodule(layer_name)).get_parameter("weight")
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
            passed_on = (
                _through_layer(model, flow, step, spread, channels, region)
                if step.layer
                else _through_operation(step, value, spread)
            )
            if passed_on is None:
                return None
            todo += [(v, passed_on) for v in step.outputs[:1]] if passed_on else []
    layers = {*region.along, *region.ends}
    steps = (step for layer in layers for step in flow.steps[layer])
    return region if all(step.inputs[0] in region.spread for step in steps) else None


def _through_layer(
    model: nn.Module, flow: Dataflow, step: Step, spread: int, channels: int, region: Region
) -> int | None:
    """The spread behind a layer; 0 where the order ends in it; None where it cannot go there."""
    layer = model.get_submodule(step.layer)
    shared = any(f"{other}.".startswith(f"{step.layer}.") for other in flow.shared)
    if shared or has_hooks(layer) or len(step.inputs) != 1:
        return None
    if is_norm(layer) and spread == 1 and not any(layer.children()):
        region.along.add(step.layer)
        return 1
    if not is_plain_layer(_mixing(layer)):
        return None
    if isinstance(layer, nn.Conv2d) and layer.groups > 1:
        if not layer.groups == layer.out_channels == channels:
            return None
        region.along.add(step.layer)
        return 1
    if region.ends.setdefault(step.layer, spread) != spread:
        return None
    return 0 if len(step.inputs[0].shape) == (2 if isinstance(layer, nn.Linear) else 4) else None


def _through_operation(step: Step, value: Value, spread: int) -> int | None:
    """The spread behind an operation, or None where the order cannot go through it."""
    if step.inputs != [value] or not step.outputs:
        return None
    before, after = value.shape, step.outputs[0].shape
    alone = len(tensors_in((step.args, step.kwargs))) == 1
    if alone and is_channelwise(step.operation, step.args, len(before)):
        return spread
    packet = getattr(step.operation, "overloadpacket", None)
    flat = (*before[:1], prod(before[1:]))
    if packet in (_aten.view, _aten._unsafe_view) and after == flat:
        return spread * prod(before[2:])
    return None


def _mixing(layer: nn.Module) -> nn.Module:
    """What of a layer has weights for its input channels."""
    return layer.primary_conv[0] if isinstance(layer, GhostModule) else layer
