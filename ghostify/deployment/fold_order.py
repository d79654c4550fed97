"""Fold the output order of Ghost modules into the layers that read it."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from torch import nn

from ghostify.analysis.dataflow import Dataflow
from ghostify.analysis.regions import NoRegionError, find_region
from ghostify.nn import GhostModule
from ghostify.nn.hooks import has_hooks
from ghostify.types.region import Region


def foldable_orders(model: nn.Module, flow: Dataflow) -> dict[str, Region]:
    """Return the region of each Ghost module, by its name, whose order can be folded."""
    regions = {}
    for name, ghost in model.named_modules():
        if isinstance(ghost, GhostModule) and ghost.order is not None and name in flow.steps:
            with suppress(NoRegionError):
                region = find_region(model, flow, name)
                if not has_hooks(ghost):
                    regions[name] = region
    return regions


def fold_order(model: nn.Module, name: str, region: Region) -> None:
    """Remove the order of a Ghost module and permute the weights of its region, in place."""
    ghost: Any = model.get_submodule(name)
    rank = ghost.order.argsort()
    ghost.order = None
    for layer in map(model.get_submodule, (*region.channelwise, *region.gates)):
        for tensor in (*layer.parameters(recurse=False), *layer.buffers(recurse=False)):
            if tensor.dim():
                tensor.copy_(tensor.detach()[rank.to(tensor.device)])
    for layer_name in region.readers:
        weight = model.get_submodule(layer_name).get_parameter("weight")
        by_channel = weight.detach().reshape(len(weight), len(rank), -1)
        weight.copy_(by_channel[:, rank].view_as(weight))
