"""Recognize Ghost modules of other code by what they compute."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ghostify.analysis.dataflow import Dataflow, Step, Value, is_norm


def primary_convolutions(model: nn.Module, flow: Dataflow) -> set[str]:
    """Return the convolutions that compute the intrinsic feature maps of a Ghost module.

    A depthwise convolution reads these feature maps, and its result is concatenated with them.
    Norms and activations may be in between. Names and classes of the modules do not matter.

    Args:
        model: the network that ``flow`` was recorded of.
    """
    primaries = set()
    for step in flow.sequence:
        if step.operation is torch.ops.aten.cat.default:
            parts = [_convolution(model, value) for value in step.inputs]
            for part in parts:
                if part is not None and _is_depthwise(model, part):
                    source = _convolution(model, part.inputs[0])
                    if source is not None and source in parts:
                        primaries.add(source.layer)
    return primaries


def _convolution(model: nn.Module, value: Value) -> Step | None:
    """Return the convolution that made a value, if only norms and activations came after it."""
    while (step := value.producer) is not None:
        if step.layer and not is_norm(layer := model.get_submodule(step.layer)):
            if isinstance(layer, nn.Conv2d):
                return step
            if not isinstance(layer, nn.PReLU):
                return None
        if len(step.inputs) != 1 or step.inputs[0].shape != value.shape:
            return None
        value = step.inputs[0]
    return None


def _is_depthwise(model: nn.Module, step: Step) -> bool:
    layer: Any = model.get_submodule(step.layer)
    return bool(layer.groups == layer.in_channels > 1)
