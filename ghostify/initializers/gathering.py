"""What a layer now sees, beside what it should give."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from ghostify.initializers.lockstep import Lockstep, Pending
from ghostify.initializers.sampling import Call, Sample, Sampler, call_of, draw_positions
from ghostify.initializers.targets import Targets, as_maps, key, values_at
from ghostify.spec import GhostifyError

_ENOUGH = 2048
"""Positions to see by whether targets belong to their inputs."""


def aligned_sample(
    lockstep: Lockstep,
    name: str,
    pending: Pending,
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
