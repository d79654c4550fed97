"""Outputs of the original's layers at positions drawn at random, from one forward pass."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from ghostify.analysis.output_hooks import OutputHook, output_hooks
from ghostify.conversion.init.conv_call import as_feature_maps
from ghostify.conversion.init.residual_sums import ResidualSums, ResidualTerm, inverse_scale
from ghostify.conversion.init.sample import draw_positions, values_at
from ghostify.conversion.init.scratch import ScratchArchive, trim_memory
from ghostify.data import images_in
from ghostify.types import Example, split_example


@dataclass
class CallTargets:
    """Outputs of one call of a layer.

    Attributes:
        shape: images, height and width of the output.
        positions: ``(N, 3)``: image, row and column.
        values: ``(n, N)``, the output at the positions.
        archive: where they are.
        other: ``(n, N)``, the other term there, if the layer computes the last term of a sum.
    """

    shape: tuple[int, int, int]
    positions: Tensor
    values: Tensor
    archive: ScratchArchive
    other: Tensor | None = None

    def keep_other(self, _: ResidualTerm, other: Tensor) -> None:
        self.other = self.archive.keep(values_at(other, self.positions))


@dataclass
class Targets:
    """Outputs of one layer.

    Attributes:
        calls: by index of the batch and of the call within its forward pass.
        inverse_scale: ``(n,)``, as in `residual_sums`, for the last term of a sum.
    """

    calls: dict[tuple[int, int], CallTargets] = field(default_factory=dict)
    inverse_scale: Tensor | None = None

    @property
    def max_calls(self) -> int:
        return max((call + 1 for _, call in self.calls), default=0)

    @property
    def varying(self) -> Tensor:
        """``(n,)``: which channels are not constant."""
        values = [call.values for call in self.calls.values()]
        return torch.stack([(v != values[0][:, :1]).any(1) for v in values]).any(0)


@torch.no_grad()
def observe(
    model: nn.Module,
    batches: Sequence[Example],
    positions: Mapping[str, int],
    terms: Mapping[str, str | None] = MappingProxyType({}),
    channels: Mapping[str, Tensor] = MappingProxyType({}),
) -> dict[str, Targets]:
    """Run ``model`` on all batches and keep the outputs of some layers at random positions.

    Args:
        positions: number by layer, over all images. Calls on feature maps smaller than the first
            get fewer, in proportion to the area.
        terms: layers that compute the last term of a sum, with the BatchNorm between, or None.
        channels: by layer, the output channels to keep. Default: all.

    Returns:
        The layers that ran, in the order of their first call.
    """
    found, archive = dict[str, Targets](), ScratchArchive()
    images = [images_in(batch) for batch in batches]
    for number, batch in enumerate(batches):
        share = images[number] / sum(images)
        wanted = {name: share * total for name, total in positions.items()}
        sums = ResidualSums()
        keeper = _keeper(found, number, wanted, sums, terms, channels, archive)
        with sums, output_hooks(model, positions, keeper):
            args, kwargs = split_example(batch)
            model(*args, **kwargs)
    trim_memory()
    for name, norm in terms.items():
        if name in found and any(call.other is not None for call in found[name].calls.values()):
            varying = found[name].varying
            scale = inverse_scale(None if norm is None else model.get_submodule(norm), len(varying))
            found[name].inverse_scale = varying * scale.to(varying.device)
    return found


def _keeper(
    found: dict[str, Targets],
    batch: int,
    wanted: Mapping[str, float],
    sums: ResidualSums,
    terms: Collection[str],
    channels: Mapping[str, Tensor],
    archive: ScratchArchive,
) -> OutputHook:
    """Return a hook that keeps outputs at as many positions as ``wanted`` on the first call."""
    calls: Counter[str] = Counter()
    areas: dict[str, int] = {}

    def keep(layer: str, module: nn.Module, _: Any, output: Tensor) -> None:
        maps = as_feature_maps(module, output)
        area = maps[:, 0].numel()
        first_area = areas.setdefault(layer, area)
        number = math.ceil(wanted[layer] * min(area / max(first_area, 1), 1.0))
        shape = (len(maps), maps.shape[2], maps.shape[3])
        positions = draw_positions(f"{layer}/{batch}/{calls[layer]}", shape, number)
        values = values_at(maps, positions)
        if layer in channels:
            values = values[channels[layer]]
        call = CallTargets(shape, positions, archive.keep(values), archive)
        found.setdefault(layer, Targets()).calls[batch, calls[layer]] = call
        if layer in terms:
            sums.follow(output, call.keep_other)
        calls[layer] += 1

    return keep
