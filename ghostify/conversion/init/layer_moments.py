"""Moments of the inputs and outputs of layers, from one forward pass of the original."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from ghostify.analysis.output_hooks import OutputHook, output_hooks
from ghostify.conversion.init.conv_call import as_feature_maps, call_of
from ghostify.conversion.init.input_moments import InputMoments
from ghostify.conversion.init.output_moments import OutputMoments
from ghostify.conversion.init.sample import draw_positions
from ghostify.data import images_in
from ghostify.types import Example, split_example

_POSITIONS = 4096
_MAX_BYTES = 2**29
"""Memory of the sums of one forward pass. Further layers take another one."""


@dataclass
class LayerMoments:
    """Moments of one layer.

    Attributes:
        outputs: of its outputs, by the size of the cheap kernels.
        inputs: of its inputs, or None.
        calls: how many calls were added.
    """

    outputs: Mapping[int, OutputMoments] = field(default_factory=dict)
    inputs: InputMoments | None = None
    calls: int = 0

    @property
    def bytes(self) -> int:
        """Memory that the sums take."""
        inputs = 0 if self.inputs is None else self.inputs.bytes
        return inputs + sum(own.bytes for own in self.outputs.values())


def in_passes(layers: Mapping[str, LayerMoments]) -> list[list[str]]:
    """Divide layers into groups by name, the sums of each of which fit into memory."""
    groups: list[list[str]] = []
    used = _MAX_BYTES
    for name, layer in layers.items():
        if used + layer.bytes > _MAX_BYTES:
            groups.append([])
            used = 0
        groups[-1].append(name)
        used += layer.bytes
    return groups


def add_moments(
    model: nn.Module, batches: Sequence[Example], layers: Mapping[str, LayerMoments]
) -> Iterator[None]:
    """Run ``model`` batch by batch, and add the calls of ``layers`` to their moments."""
    images = [images_in(batch) for batch in batches]
    for number, batch in enumerate(batches):
        keep = _keeper(layers, number, len(batches), images[number] / sum(images))
        with output_hooks(model, layers, keep):
            args, kwargs = split_example(batch)
            model(*args, **kwargs)
        yield


def _keeper(
    layers: Mapping[str, LayerMoments], batch: int, batches: int, share: float
) -> OutputHook:
    calls: Counter[str] = Counter()
    areas: dict[str, int] = {}

    def keep(name: str, module: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
        layer, call = layers[name], call_of(module, args)
        area = math.prod(call.output_shape)
        smaller = min(area / max(areas.setdefault(name, area), 1), 1.0)
        at = f"{batch}/{calls[name]}"
        calls[name] += 1
        layer.calls += 1
        if layer.outputs:
            number = math.ceil(share * _POSITIONS * smaller)
            positions = draw_positions(f"{name}/{at}", call.output_shape, number)
            for own in layer.outputs.values():
                own.add(call, as_feature_maps(module, output), positions)
        if layer.inputs is not None:
            number = math.ceil(layer.inputs.positions / batches)
            positions = draw_positions(f"{name}/inputs/{at}", call.output_shape, number)
            layer.inputs.add(call, positions)

    return keep
