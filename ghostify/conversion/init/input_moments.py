"""Covariance of the inputs of a layer over calibration images."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from ghostify.conversion.init.conv_call import call_of
from ghostify.conversion.init.layerwise import Arrival, PendingLayer
from ghostify.conversion.init.sample import draw_positions, patches_at
from ghostify.types import GhostifyError

_MAX_INPUTS = 5000
"""Inputs of a layer above which those of different taps count as uncorrelated."""

_MAX_PRODUCTS = 1.5e11
_MIN_POSITIONS, _MAX_POSITIONS = 4096, 16384
_CHUNK = 1024


def input_covariances(
    name: str, pending: PendingLayer, arrivals: Iterable[Arrival], batches: int, channels: int
) -> list[Tensor]:
    """Return the covariance of a layer's inputs around random output positions, in float64.

    Args:
        name: seeds the positions.
        pending: the layer.
        arrivals: its calls.
        batches: number of batches, to which positions are spread evenly.
        channels: number of channels c of the input, each with t inputs.

    Returns:
        ``(c t, c t)``; for a layer of more than 5000 inputs, one ``(c, c)`` for each of t.
    """
    moments: list[_Moments] = []
    for arrival in arrivals:
        call = call_of(pending.layer, arrival.args)
        inputs = call.weight[0].numel()
        number = min(max(_MAX_PRODUCTS / inputs**2, _MIN_POSITIONS), _MAX_POSITIONS)
        seed = f"{name}/inputs/{arrival.batch}/{arrival.call}"
        positions = draw_positions(seed, call.output_shape, -(-int(number) // batches))
        patches = patches_at(call, positions).flatten(1)
        parts = [patches]
        if inputs > _MAX_INPUTS:
            parts = list(patches.view(len(patches), channels, -1).unbind(2))
        moments = moments or [_Moments(each) for each in parts]
        for own, each in zip(moments, parts, strict=True):
            own.add(each)
    if not moments:
        raise GhostifyError(
            f"no calibration image reaches {name}: give more images, or exclude the layers before"
        )
    return [own.covariance() for own in moments]


class _Moments:
    """Second moments of inputs around the mean of the first inputs, batch by batch."""

    def __init__(self, first: Tensor) -> None:
        size = first.shape[1]
        self.shift = first.mean(0)
        self.number = 0
        self.batches = 0
        self.total = first.new_zeros(size, dtype=torch.float64)
        self.products = first.new_zeros(size, size, dtype=torch.float64)
        self.energy = 0.0

    def add(self, values: Tensor) -> None:
        """Add the inputs of one batch."""
        centered = values - self.shift
        products = sum((p.T @ p for p in torch.split(centered, _CHUNK)), torch.zeros(()))
        self.number += len(centered)
        self.batches += 1
        self.total += centered.sum(0, dtype=torch.float64)
        self.products += products
        self.energy += _off_diagonal_energy(products / len(centered))

    def covariance(self) -> Tensor:
        """Return the covariance, shrunk towards its diagonal, in the memory of the products.

        Correlations are multiplied by 1 - a, where a is the part of their energy that is sampling
        error (Ledoit and Wolf, 2004), as the variation from batch to batch tells.
        """
        covariance = self.products.div_(self.number)
        energy = _off_diagonal_energy(covariance)
        error = (self.energy / self.batches - energy) / max(self.batches - 1, 1)
        mean = self.total / self.number
        covariance.addr_(mean, mean, alpha=-1)
        variance = covariance.diagonal().clone()
        covariance *= 1 - min(max(error / energy, 0.0), 1.0) if energy else 0.0
        covariance.diagonal().copy_(variance)
        return covariance


def _off_diagonal_energy(matrix: Tensor) -> float:
    return float(matrix.square().sum() - matrix.diagonal().square().sum())
