"""Inputs of a layer in the converted network, with the original's outputs as targets."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ghostify.conversion.init.conv_call import ConvCall, call_of
from ghostify.conversion.init.layerwise import LayerwiseRunner, PendingLayer
from ghostify.conversion.init.ridge import refit
from ghostify.conversion.init.sample import Sample, Sampler, draw_positions, values_at
from ghostify.conversion.init.scratch import ScratchMemory
from ghostify.conversion.init.targets import Targets
from ghostify.types import GhostifyError

_POSITIONS_TO_CHECK = 1024


class AlignedSample(NamedTuple):
    """Inputs of a layer and the original's outputs.

    Attributes:
        sample: what the filters read at all positions.
        around: what they read around some of these positions, which cheap kernels are fitted to.
        weight: of the layer.
    """

    sample: Sample
    around: Sample
    weight: Tensor


def aligned_sample(
    runner: LayerwiseRunner,
    name: str,
    pending: PendingLayer,
    targets: Targets,
    dw_size: int = 1,
    around: int = 0,
    memory: tuple[ScratchMemory | None, ScratchMemory | None] = (None, None),
) -> AlignedSample:
    """Return samples of the layer's inputs with its targets, and the layer's weight.

    The targets of the last term of a residual sum include what the other term has lost (He et
    al., arXiv 1707.06168, section 3.2).

    Where a network chooses what a layer works on, such as the regions of a detector, the
    original's outputs may belong to other inputs. Then the outputs of the old weights are the
    targets.

    Args:
        dw_size: d of the cheap kernels to fit.
        around: number of positions to fit them to. Default: none, and ``around`` is ``sample``.
        memory: where both samples are, until it is used again.
    """
    total = sum(len(call.positions) for call in targets.calls.values())
    step = max(total // around, 1) if around else 1
    sampler = Sampler(1, total, memory[0])
    wide = Sampler(dw_size, total // step + len(targets.calls), memory[1])
    columns = []
    conv, aligned = None, True
    for arrival in runner.arrivals(pending, targets.max_calls):
        conv = call_of(pending.layer, arrival.args)
        call = targets.calls.get((arrival.batch, arrival.call))
        if call is not None and call.shape == conv.output_shape:
            positions, values = call.positions, call.values
            if arrival.other is not None and call.other is not None:
                assert targets.inverse_scale is not None
                lost = call.other.to(conv.x) - values_at(arrival.other, positions)
                values = values.to(conv.x) + lost * targets.inverse_scale.to(conv.x)[:, None]
        else:
            aligned = False
            seed = f"{name}/{arrival.batch}/{arrival.call}"
            wanted = 0 if call is None else len(call.positions)
            positions = draw_positions(seed, conv.output_shape, wanted)
            values = conv.x.new_zeros(len(conv.weight), len(positions))
        if around:
            columns.append(torch.arange(sampler.filled, sampler.filled + len(positions), step))
            wide.add(conv, positions[::step], values[:, ::step])
        sampler.add(conv, positions, values)
    sample = sampler.sample()
    if conv is None or sample is None:
        raise GhostifyError(
            f"no calibration image reaches {name} in the converted network: give more images, or "
            "exclude the layer"
        )
    if not aligned or not _belong_together(sample, conv.weight):
        _aim_at_own_outputs(sample, conv)
    around_them = wide.sample()
    if around_them is None:
        return AlignedSample(sample, sample, conv.weight)
    around_them.targets = sample.targets[:, torch.cat(columns)]
    return AlignedSample(sample, around_them, conv.weight)


def _belong_together(sample: Sample, weight: Tensor) -> bool:
    """Whether the inputs explain any of the targets' variance.

    If the old weights do not, because most of the input's channels were dropped, weights fitted to
    every other position may, at the positions between.
    """
    sample = sample.thinned(_POSITIONS_TO_CHECK)
    if _explains(sample, weight):
        return True
    fitted = refit(sample.select(slice(0, None, 2)), weight)
    return _explains(sample.select(slice(1, None, 2)), fitted)


def _explains(sample: Sample, weight: Tensor) -> bool:
    error = variance = 0.0
    mean = sample.mean_target.to(weight)
    for windows, _, targets in sample.chunks():
        outputs = sample.outputs(windows, weight)
        targets = targets - mean
        error += float((targets - outputs + outputs.mean(1, keepdim=True)).square().sum())
        variance += float(targets.square().sum())
    return error <= variance


def _aim_at_own_outputs(sample: Sample, conv: ConvCall) -> None:
    start = 0
    for windows, _, targets in sample.chunks():
        outputs = sample.outputs(windows, conv.weight)
        outputs = outputs if conv.bias is None else outputs + conv.bias[:, None]
        sample.targets[:, start : start + targets.shape[1]] = outputs.to(sample.targets)
        start += targets.shape[1]
