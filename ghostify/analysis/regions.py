"""Find the layers that share the channels of a convolution, up to those that mix them."""

from __future__ import annotations

from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from ghostify.analysis.channelwise_ops import is_channelwise, out_of_place
from ghostify.analysis.convolutions import is_plain_layer
from ghostify.analysis.dataflow import Dataflow, Step, Value, is_norm, tensors_in
from ghostify.nn import GhostModule
from ghostify.nn.hooks import has_hooks
from ghostify.types import GhostifyError
from ghostify.types.region import Region

_aten = torch.ops.aten
_SHAPES = {
    _aten.view, _aten._unsafe_view, _aten.squeeze, _aten.unsqueeze, _aten.expand
}  # fmt: skip
_COMBINED = {
    _aten.add: "added to other feature maps",
    _aten.sub: "added to other feature maps",
    _aten.mul: "multiplied by other feature maps",
    _aten.div: "multiplied by other feature maps",
    _aten.cat: "concatenated with other feature maps",
}


class NoRegionError(GhostifyError):
    """The channels of a layer are read by more than layers that mix them. It says by what."""


def find_region(model: nn.Module, flow: Dataflow, name: str) -> Region:
    """Return the region of a convolution or Ghost module.

    Its output channels can be dropped, or be in another order, if all layers of the region change
    with them.

    Args:
        model: the network that ``flow`` was recorded of.
        name: the layer's qualified name; it ran, once or more.

    Raises:
        NoRegionError: if anything else reads the channels. The message is the reason.
    """
    walk = _Walk(model, flow, name)
    walk.follow(name)
    walk.check_other_inputs()
    return walk.region()


def scales_channels(layer: nn.Module) -> bool:
    """Whether a layer has numbers for each channel, and acts on each by itself."""
    return is_norm(layer) or isinstance(layer, nn.PReLU)


class _Walk:
    """Follows feature maps from the layer that makes them to those that mix their channels.

    Attributes:
        spread: for each value along the way, the number of adjacent entries of dimension 1 that
            belong to one channel; more than one after feature maps were flattened.
        called: layers along the way and at the ends.
        combined: operations along the way that read other tensors too.
    """

    def __init__(self, model: nn.Module, flow: Dataflow, name: str) -> None:
        self.model = model
        self.flow = flow
        self.name = name
        self.order = list(flow.steps)
        self.channels = int(model.get_submodule(name).out_channels)  # type: ignore[arg-type]
        self.spread: dict[Value, int] = {}
        self.channelwise: dict[str, None] = {}
        self.gates: dict[str, None] = {}
        self.readers: dict[str, int] = {}
        self.called: dict[str, None] = {}
        self.combined: list[Step] = []

    def region(self) -> Region:
        params = macs = 0
        for layer in filter(scales_channels, map(self.model.get_submodule, self.channelwise)):
            params += sum(p.dim() for p in layer.parameters(recurse=False))
        for name, spread in self.readers.items():
            if isinstance(reader := self.model.get_submodule(name), nn.Linear):
                params += reader.out_features * spread
                macs += self._rows(name) * reader.out_features * spread
        for name in self.gates:
            if isinstance(gate := self.model.get_submodule(name), nn.Linear):
                params += gate.in_features + (gate.bias is not None)
                macs += self._rows(name) * gate.in_features
        return Region(
            channelwise=tuple(self.channelwise),
            gates=tuple(self.gates),
            readers=self.readers,
            params=params,
            macs=macs,
        )

    def _rows(self, linear: str) -> int:
        return sum(prod(step.inputs[0].shape[:-1]) for step in self.flow.steps[linear])

    def follow(self, source: str) -> None:
        """Follow the outputs of a layer to the ends of the region."""
        todo = [(value, 1) for step in self.flow.steps[source] for value in step.outputs]
        for value, _ in todo:
            if value.shape[1:2] != (self.channels,) or len(value.shape) not in (2, 4):
                raise NoRegionError("called without a batch dimension")
        while todo:
            value, spread = todo.pop()
            self.spread[value] = spread
            for step in value.consumers:
                after = self._after_layer(step, spread) if step.layer else self._after(step, value)
                if any(other.consumers for other in step.outputs[1:]):
                    raise NoRegionError(f"read by {_name(step)} for its indices")
                todo += [(v, after) for v in step.outputs[:1] if after and v not in self.spread]

    def check_other_inputs(self) -> None:
        """Check that layers and operations along the way read nothing but the region."""
        for step in self.combined:
            shape = step.outputs[0].shape
            inside = [value for value in step.inputs if value in self.spread]
            outside = [value for value in step.inputs if value not in self.spread]
            others = [value.shape for value in outside] + [
                tuple(tensor.shape) for tensor in self._parameters(step)
            ]
            if (
                len({self.spread[value] for value in inside}) > 1
                or any(v.shape[1] != shape[1] or len(v.shape) != len(shape) for v in inside)
                or any(_varies(other, len(shape)) for other in others)
            ):
                raise NoRegionError(_combination(step))
        for layer in self.called:
            if any(step.inputs[0] not in self.spread for step in self.flow.steps[layer]):
                raise NoRegionError(f"read by {layer}, which reads other feature maps too")

    def _after_layer(self, step: Step, spread: int) -> int:
        """Add a layer that reads the region. Return the spread of its output; 0 for a reader."""
        self._check_alone(step)
        name, layer = step.layer, self.model.get_submodule(step.layer)
        if isinstance(layer, nn.PReLU) and layer.num_parameters == 1:
            return spread
        self.called[name] = None
        if isinstance(layer, GhostModule):
            name, layer = f"{name}.primary_conv.0", layer.primary_conv[0]
        if scales_channels(layer) and spread == 1 and not _inner_parameters(layer):
            self.channelwise[step.layer] = None
            return 1
        if not is_plain_layer(layer):
            raise NoRegionError(f"read by {name}, a {type(layer).__name__}")
        if isinstance(layer, nn.Conv2d) and layer.groups > 1:
            if not layer.groups == layer.out_channels == self.channels:
                raise NoRegionError(f"read by {name}, a grouped convolution")
            self.channelwise[name] = None
            return 1
        rank = 2 if isinstance(layer, nn.Linear) else 4
        if len(step.inputs[0].shape) != rank or self.readers.get(name, spread) != spread:
            raise NoRegionError(f"read by {name} in another shape")
        self.readers[name] = spread
        return 0

    def _check_alone(self, step: Step) -> None:
        if self.flow.is_shared(step.layer):
            raise NoRegionError(f"read by {step.layer}, whose parameters are read elsewhere")
        if has_hooks(self.model.get_submodule(step.layer)):
            raise NoRegionError(f"read by {step.layer}, which has hooks")
        if len(step.inputs) != 1:
            raise NoRegionError(f"read by {step.layer} together with other feature maps")

    def _after(self, step: Step, value: Value) -> int:
        """Return the spread of an operation's output."""
        if step.operation is None:
            raise NoRegionError("an output of the network")
        after = _spread_after_shape(step, value, self.spread[value])
        if after is not None:
            return after
        if not step.outputs or not is_channelwise(step.operation, step.args, len(value.shape)):
            raise NoRegionError(_combination(step))
        if len(tensors_in((step.args, step.kwargs))) > 1:
            self.combined.append(step)
            if _packet(step) is _aten.mul:
                for factor in step.inputs:
                    self._add_gate(factor)
        return self.spread[value]

    def _add_gate(self, factor: Value) -> None:
        """Add the layer that makes a factor for each channel, if there is one."""
        name = self._source(factor)
        if name is None or name in self.gates or name == self.name:
            return
        layer = self.model.get_submodule(name)
        mixes = is_plain_layer(layer) and getattr(layer, "groups", 1) == 1
        if not mixes or len(layer.get_parameter("weight")) != self.channels:
            return
        if self.order.index(name) < self.order.index(self.name):
            raise NoRegionError(f"multiplied by the feature maps of {name}")
        for step in self.flow.steps[name]:
            self._check_alone(step)
        self.gates[name] = None
        self.follow(name)

    def _source(self, value: Value) -> str | None:
        """Return the layer that made a value, if only channel-wise operations are in between."""
        while value not in self.spread and (step := value.producer) is not None:
            if step.layer:
                return step.layer
            before = step.inputs[0] if step.inputs else value
            unary = len(tensors_in((step.args, step.kwargs))) == 1
            passes = is_channelwise(step.operation, step.args, len(before.shape))
            if not unary or not (passes or _spread_after_shape(step, before, 1) == 1):
                return None
            value = before
        return None

    def _parameters(self, step: Step) -> list[Tensor]:
        tensors = tensors_in((step.args, step.kwargs))
        return [tensor for tensor in tensors if id(tensor) in self.flow.owners]


def _spread_after_shape(step: Step, value: Value, spread: int) -> int | None:
    """Return the spread after an operation that changes the shape alone; None for another one."""
    if _packet(step) not in _SHAPES or step.inputs != [value] or not step.outputs:
        return None
    before, after = value.shape, step.outputs[0].shape
    if before[:2] == after[:2]:
        return spread
    return spread * prod(before[2:]) if after == (*before[:1], prod(before[1:])) else None


def _varies(shape: tuple[int, ...], rank: int) -> bool:
    """Whether a tensor that is broadcast to ``rank`` dimensions may differ by channel."""
    return len(shape) >= rank - 1 and shape[1 - rank] != 1


def _inner_parameters(layer: nn.Module) -> list[Tensor]:
    """Return the parameters of modules inside a layer."""
    return [p for child in layer.children() for p in child.parameters()]


def _combination(step: Step) -> str:
    return _COMBINED.get(_packet(step), f"read by {_name(step)}")


def _packet(step: Step) -> Any:
    return getattr(out_of_place(step.operation), "overloadpacket", None)


def _name(step: Step) -> str:
    packet = _packet(step)
    return str(getattr(packet, "__name__", step.operation)).strip("_").removeprefix("native_")
