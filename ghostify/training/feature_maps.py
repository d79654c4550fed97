"""The feature maps of teacher and student that a training compares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ghostify.analysis.dataflow import trace_dataflow
from ghostify.analysis.output_hooks import record_calls
from ghostify.data.batches import call, device_of
from ghostify.evaluation.metrics import numbers
from ghostify.nn import GhostModule
from ghostify.types import Decision, Example, Geometry, Plan

_FLAT, _TINY = 1e-4, 1e-12
"""Lower bounds of a scale: relative to the mean square, and absolute."""


@dataclass(frozen=True, eq=False)
class ComparedLayer:
    """A layer of the student that is compared with the teacher's layer of the same name.

    Attributes:
        name: qualified name of the layer.
        output: qualified name of the module whose output is compared: the BatchNorm that alone
            reads the layer, where there is one, else the layer itself.
        kept_inputs: the teacher's input channels that the student has left; None for all.
        kept_outputs: the teacher's output channels that the student has left; None for all.
    """

    name: str
    output: str
    kept_inputs: Tensor | None = None
    kept_outputs: Tensor | None = None

    def inputs(self, teachers: Tensor) -> Tensor:
        """Return the student's channels of an input of the teacher's layer."""
        return _select(teachers, self.kept_inputs)

    def outputs(self, teachers: Tensor) -> Tensor:
        """Return the student's channels of an output of the teacher's layer."""
        return _select(teachers, self.kept_outputs)


def _select(tensor: Tensor, channels: Tensor | None) -> Tensor:
    return tensor if channels is None else tensor.index_select(1, channels)


def compared_layers(
    teacher: nn.Module, student: nn.Module, example: Example
) -> tuple[ComparedLayer, ...]:
    """Return the layers whose feature maps the student has to restore, in its own order.

    These are Ghost modules, layers that lost output channels, and the readers of these, which have
    to make up for what was dropped.
    """
    layers = dict(teacher.named_modules())
    plan = Plan.find(student) or Plan(())
    if not all(_is_original(layers.get(d.site.name), d) for d in plan.decisions if d.width):
        plan = Plan(())  # of another network, whose channels are others
    inputs, outputs = plan.kept_inputs, plan.kept_channels
    norms = trace_dataflow(teacher, example).following_norms()
    device = device_of(student)

    def index(channels: tuple[int, ...] | None) -> Tensor | None:
        return None if channels is None else torch.tensor(channels, device=device)

    return tuple(
        ComparedLayer(
            name, norms.get(name, name), index(inputs.get(name)), index(outputs.get(name))
        )
        for name, module in student.named_modules()
        if name in layers and (isinstance(module, GhostModule) or name in plan.widths | inputs)
    )


def _is_original(layer: nn.Module | None, decision: Decision) -> bool:
    return isinstance(layer, nn.Conv2d) and Geometry.of(layer) == decision.site.geometry


def scale_of(tensor: Tensor) -> float:
    """Return the variance of a tensor, each channel (dimension 1) around its own mean.

    The variance of a nearly constant tensor is bounded below. An empty tensor has an infinite
    scale, so that its error is 0.
    """
    values = tensor.float()
    if not values.numel():
        return float("inf")
    others = [dimension for dimension in range(values.dim()) if dimension != 1] or None
    variance = (values - values.mean(others, keepdim=True)).square().mean()
    return max(float(variance), _FLAT * float(values.square().mean()), _TINY)


@torch.no_grad()
def measure_scales(
    teacher: nn.Module, layers: Sequence[ComparedLayer], inputs: Example
) -> dict[str, tuple[float, ...]]:
    """Return the scales of the teacher's outputs (key ``""``) and feature maps, call by call."""
    with record_calls(teacher, [layer.output for layer in layers]) as calls:
        scales = {"": tuple(map(scale_of, numbers(call(teacher, inputs))))}
    for layer in layers:
        maps = (layer.outputs(output) for _, output in calls[layer.output])
        scales[layer.output] = tuple(map(scale_of, maps))
    return scales
