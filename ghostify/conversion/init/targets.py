"""What the original gives at positions drawn at random, layer by layer, from one pass."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ghostify.conversion.init.layerwise import LayerwiseRunner, PendingLayer
from ghostify.conversion.init.patches import Call, Sample, Sampler, call_of, draw_positions
from ghostify.conversion.init.residuals import Branches, Term, worth
from ghostify.conversion.init.scratch import give_back_free_memory, scratch
from ghostify.data import images_in
from ghostify.types import Example, GhostifyError, split_example


@dataclass
class Targets:
    """The outputs of one layer.

    Attributes:
        calls: how often a pass calls it, at most.
        samples: by batch and call, the size of the map, and ``(N, n)`` values at the positions
            that `draw_positions` gives for `key`.
        others: for the last term of a sum, the other term at the same positions, likewise.
        worth: ``(n,)``, what a unit of the sum is in the layer's maps.
    """

    calls: int = 0
    samples: dict[tuple[int, int], tuple[tuple[int, int], Tensor]] = field(default_factory=dict)
    others: dict[tuple[int, int], Tensor] = field(default_factory=dict)
    worth: Tensor | None = None


def key(layer: str, batch: int, call: int) -> str:
    """What the positions of one call are drawn by."""
    return f"{layer}/{batch}/{call}"


@torch.no_grad()
def observe(
    model: nn.Module,
    batches: Sequence[Example],
    positions: Mapping[str, int],
    terms: Mapping[str, str | None] = MappingProxyType({}),
) -> dict[str, Targets]:
    """Run ``model`` once on everything.

    Args:
        positions: how many are wanted of each layer, over all images. A call on a smaller map than
            the first gives fewer, by its area.
        terms: those layers that are the last term of a sum, with the batch norm between, if any.

    Returns:
        those layers that ran, in the order of their first call.
    """
    found: dict[str, Targets] = {}
    images = [images_in(batch) for batch in batches]

    def keep_other(term: Term[_Call], other: Tensor) -> None:
        targets = found[term.key.layer]
        targets.others[term.key.batch, term.key.number] = _kept(values_at(other, term.key.drawn))

    for number, batch in enumerate(batches):
        share = images[number] / sum(images)
        with ExitStack() as hooks:
            branches = hooks.enter_context(Branches(keep_other))
            for name, wanted in positions.items():
                hook = _Hook(
                    found, name, number, wanted * share, branches if name in terms else None
                )
                handle = model.get_submodule(name).register_forward_hook(hook)
                hooks.callback(handle.remove)
            args, kwargs = split_example(batch)
            model(*args, **kwargs)
        give_back_free_memory()
    for name, norm in terms.items():
        if name in found and found[name].others:
            behind = None if norm is None else model.get_submodule(norm)
            alive = _alive(found[name])
            found[name].worth = alive * worth(behind, len(alive)).to(alive.device)
    return found


@dataclass
class _Call:
    """One call of one layer, with the positions ``(N, 3)`` that are looked at."""

    layer: str
    batch: int
    number: int
    drawn: Tensor


@dataclass
class _Hook:
    """Keeps what one layer gives for one batch."""

    found: dict[str, Targets]
    layer: str
    batch: int
    wanted: float
    branches: Branches[_Call] | None
    calls: int = 0
    area: float = 0.0

    def __call__(self, module: nn.Module, _: Any, output: Tensor) -> None:
        maps = as_maps(module, output)
        size = (maps.shape[2], maps.shape[3])
        self.area = self.area or float(maps[:, 0].numel())
        share = min(maps[:, 0].numel() / max(self.area, 1), 1.0)
        drawn = draw_positions(
            key(self.layer, self.batch, self.calls),
            len(maps),
            size,
            math.ceil(self.wanted * share),
        )
        targets = self.found.setdefault(self.layer, Targets())
        targets.samples[self.batch, self.calls] = size, _kept(values_at(maps, drawn))
        if self.branches is not None:
            self.branches.follow(_Call(self.layer, self.batch, self.calls, drawn), output)
        self.calls += 1
        targets.calls = max(targets.calls, self.calls)


def _alive(targets: Targets) -> Tensor:
    """``(n,)``: which maps are not the same everywhere; those that are stay so."""
    samples = [values for _, values in targets.samples.values()]
    return torch.stack([(values != samples[0][:1]).any(0) for values in samples]).any(0)


def values_at(maps: Tensor, drawn: Tensor) -> Tensor:
    """``(N, n)``: the maps at positions ``(N, 3)``."""
    drawn = drawn.to(maps.device)
    return maps[drawn[:, 0], :, drawn[:, 1], drawn[:, 2]]


def _kept(values: Tensor) -> Tensor:
    kept = scratch(tuple(values.shape))
    kept.copy_(values)
    return kept


def as_maps(module: nn.Module, output: Tensor) -> Tensor:
    """``(B, n, H, W)``, whatever the layer's output looks like."""
    if isinstance(module, nn.Linear):
        return output.reshape(-1, output.shape[-1])[:, :, None, None]
    return output if output.dim() == 4 else output[None]


_ENOUGH = 2048
"""Positions to see by whether targets belong to their inputs."""


def aligned_sample(
    lockstep: LayerwiseRunner,
    name: str,
    pending: PendingLayer,
    targets: Targets,
    dw_size: int = 1,
    *,
    trusted: bool = False,
) -> tuple[Sample, Tensor]:
    """The layer's inputs in the converted network with their targets, and its old weight.

    The last term of a sum is also to make up for what the other term has become (as He et al. do in
    pruning, arXiv 1707.06168, section 3.2).

    Where a network decides itself what a layer works on (a detector's regions), the original's
    maps may be those of something else; then the old weights say what to aim at.

    Args:
        trusted: whether targets are right even where the old weights give nothing like them.
    """
    layer = pending.layer
    sampler = Sampler(dw_size, sum(len(values) for _, values in targets.samples.values()))
    call, aligned = None, True
    for arrival in lockstep.arrivals(pending, targets.calls):
        place = arrival.batch, arrival.call
        call = _call(layer, arrival.arguments)
        size, values = targets.samples.get(place, (None, None))
        wanted = 0 if values is None else len(values)
        drawn = draw_positions(key(name, *place), len(call.x), call.output, wanted)
        if values is None or size != call.output or len(drawn) != wanted:
            aligned = False
            values = call.x.new_zeros(len(drawn), len(call.weight))
        elif arrival.other is not None and place in targets.others:
            assert targets.worth is not None
            lost = targets.others[place].to(call.x) - values_at(arrival.other, drawn)
            values = values.to(call.x) + lost * targets.worth.to(call.x)
        sampler.add(call, drawn, values)
    sample = sampler.sample()
    if call is None or sample is None:
        raise GhostifyError(f"no image of the calibration data comes by {name} when converted")
    if not aligned or not (trusted or _resembles(sample, call.weight)):
        _aim_at_own_maps(sample, call)
    return sample, call.weight


def _resembles(sample: Sample, weight: Tensor) -> bool:
    """Whether the old weights still give something like the targets."""
    sample = sample.thinned(_ENOUGH)
    wrong = spread = 0.0
    mean = sample.targets.mean(0).to(weight)
    for windows, _, targets in sample.chunks():
        maps = own_maps(sample, windows, weight)
        wrong += float((targets - maps - (mean - maps.mean(0))).square().sum())
        spread += float((targets - mean).square().sum())
    return wrong <= spread


def _aim_at_own_maps(sample: Sample, call: Call) -> None:
    start = 0
    for windows, _, targets in sample.chunks():
        maps = own_maps(sample, windows, call.weight)
        maps = maps if call.bias is None else maps + call.bias
        sample.targets[start : start + len(targets)] = maps.to(sample.targets)
        start += len(targets)


def own_maps(sample: Sample, windows: Tensor, weight: Tensor) -> Tensor:
    """``(N, n)``: what these filters give at the positions themselves, without bias."""
    patches = sample.patches(windows, (weight.shape[2], weight.shape[3]))
    groups = patches.shape[1] // weight.shape[1]
    return F.conv2d(patches, weight, groups=groups)[:, :, 0, 0]


def _call(layer: nn.Module, arguments: tuple[Any, ...]) -> Call:
    if not isinstance(layer, nn.Linear):
        return call_of(layer, arguments)
    weight = layer.weight[:, :, None, None].float()
    bias = None if layer.bias is None else layer.bias.float()
    return Call(as_maps(layer, arguments[0]), weight, bias, (1, 1), (1, 1), 1)
