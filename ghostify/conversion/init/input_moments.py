"""Covariance of the inputs of a layer over calibration images."""

from __future__ import annotations

import torch
from torch import Tensor

from ghostify.conversion.init.conv_call import ConvCall
from ghostify.conversion.init.sample import patches_at

_MAX_INPUTS = 5000
"""Inputs of a layer above which those of different taps count as uncorrelated."""

_MAX_PRODUCTS = 1.5e11
_MIN_POSITIONS, _MAX_POSITIONS = 4096, 16384
_BLOCK = 256
"""Columns of a symmetric product that are computed at a time, from the diagonal down."""


class InputMoments:
    """Covariance of a layer's inputs at random output positions, summed up call by call.

    Args:
        inputs: number of inputs of each output.
        channels: number of channels c of the input, each with t inputs.
    """

    def __init__(self, inputs: int, channels: int) -> None:
        self.channels = channels
        self.parts = inputs // channels if inputs > _MAX_INPUTS else 1
        self.positions = min(max(_MAX_PRODUCTS / inputs**2, _MIN_POSITIONS), _MAX_POSITIONS)
        size = inputs // self.parts
        self.bytes = 2 * self.parts * size * (size + _BLOCK)
        self._moments: list[_Moments] = []

    def add(self, call: ConvCall, positions: Tensor) -> None:
        """Add the inputs of a call at ``positions`` ``(N, 3)`` of the output."""
        patches = patches_at(call, positions).flatten(1)
        parts = [patches]
        if self.parts > 1:
            parts = list(patches.view(len(patches), self.channels, -1).unbind(2))
        self._moments = self._moments or [_Moments(each) for each in parts]
        for own, each in zip(self._moments, parts, strict=True):
            own.add(each)

    def covariances(self) -> list[Tensor]:
        """Return the covariance ``(c t, c t)`` in float64.

        For a layer of more than 5000 inputs, it is one ``(c, c)`` for each of t.
        """
        return [own.covariance() for own in self._moments]


class _Moments:
    """Second moments of inputs around the mean of the first inputs, batch by batch.

    Attributes:
        products: blocks of columns from the diagonal down, by the first column.
    """

    def __init__(self, first: Tensor) -> None:
        size = first.shape[1]
        self.shift = first.mean(0)
        self.number = 0
        self.batches = 0
        self.total = first.new_zeros(size, dtype=torch.float64)
        self.products = {
            start: first.new_zeros(size - start, min(_BLOCK, size - start))
            for start in range(0, size, _BLOCK)
        }
        self.energy = 0.0

    def add(self, values: Tensor) -> None:
        """Add the inputs of one batch."""
        centered = values - self.shift
        energy = -_energy(centered.square().sum(0))
        for start, total in self.products.items():
            products = centered[:, start:].T @ centered[:, start : start + _BLOCK]
            total += products
            energy += 2 * _energy(products) - _energy(products[:_BLOCK])
        self.number += len(centered)
        self.batches += 1
        self.total += centered.sum(0, dtype=torch.float64)
        self.energy += energy / len(centered) ** 2

    def covariance(self) -> Tensor:
        """Return the covariance, shrunk toward its diagonal.

        Correlations are multiplied by 1 - a, where a is the part of their energy that is sampling
        error (Ledoit and Wolf, 2004), as the variation from batch to batch tells.
        """
        covariance = self.total.new_zeros(len(self.total), len(self.total))
        for start, products in self.products.items():
            covariance[start:, start : start + _BLOCK] = products
            covariance[start : start + _BLOCK, start:] = products.T
        covariance /= self.number
        energy = _energy(covariance) - _energy(covariance.diagonal())
        error = (self.energy / self.batches - energy) / max(self.batches - 1, 1)
        mean = self.total / self.number
        covariance.addr_(mean, mean, alpha=-1)
        variance = covariance.diagonal().clone()
        covariance *= 1 - min(max(error / energy, 0.0), 1.0) if energy else 0.0
        covariance.diagonal().copy_(variance)
        return covariance


def _energy(values: Tensor) -> float:
    return float(torch.linalg.vector_norm(values)) ** 2
