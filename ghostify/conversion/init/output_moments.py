"""Second moments of a convolution's outputs at random positions, and of those around them."""

from __future__ import annotations

import torch
from torch import Tensor

from ghostify.conversion.init.conv_call import ConvCall
from ghostify.conversion.init.sample import patches_at, values_at


class OutputMoments:
    """Moments of a layer's own outputs, summed up call by call; callable for `pair_errors`.

    At each position, the n^2 pairs of outputs have d^2 products. Where a filter reads no more than
    n / 2 inputs, pairs of inputs are summed up instead: outputs are mixtures of inputs.

    Args:
        outputs: n.
        inputs: number of inputs of each filter.
        dw_size: d of the cheap kernels.
    """

    def __init__(self, outputs: int, inputs: int, dw_size: int) -> None:
        self.dw_size = dw_size
        self._mixes_few = 2 * inputs <= outputs
        self.bytes = 4 * dw_size**2 * (inputs if self._mixes_few else outputs) ** 2
        self._outputs, self._inputs = _Mean(), _Mean()
        self._filters = self._gram = self._cross = torch.zeros(())

    def add(self, call: ConvCall, outputs: Tensor, positions: Tensor) -> None:
        """Add ``outputs`` ``(B, n, H, W)`` of a call at and around ``positions`` ``(N, 3)``."""
        around, inside = _around(call.output_shape, positions, self.dw_size)
        inside = inside.to(outputs.device)  # (d^2, N, 1)
        values = values_at(outputs, around).float()
        values = values if call.bias is None else values - call.bias
        maps = self._outputs.centered(values.view(*inside.shape[:2], -1) * inside)
        by_map = maps.permute(2, 0, 1).contiguous()
        self._gram = self._gram + (by_map @ by_map.transpose(1, 2)).double()
        self._filters = call.weight.flatten(1)
        if self._mixes_few:
            values = patches_at(call, around).flatten(1)
            maps = self._inputs.centered(values.view(*inside.shape[:2], -1) * inside)
        if self._cross.dim() == 0:
            self._cross = maps.new_zeros(len(maps), maps.shape[2], maps.shape[2])
        center = maps[len(maps) // 2]
        self._cross.baddbmm_(maps.transpose(1, 2), center.expand(len(maps), *center.shape))

    @property
    def variance(self) -> Tensor:
        """``(n,)``: of the outputs."""
        center = self.dw_size**2 // 2
        return self._covariance(slice(None))[:, center, center].to(self._filters)

    def __call__(self, chosen: slice) -> tuple[Tensor, Tensor]:
        return self._covariance(chosen), self._cross_covariance(chosen)

    def _covariance(self, chosen: slice) -> Tensor:
        mean = self._outputs.mean[:, chosen].T
        return self._gram[chosen] / self._outputs.number - mean[:, :, None] * mean[:, None]

    def _cross_covariance(self, chosen: slice) -> Tensor:
        center = len(self._cross) // 2
        if not self._mixes_few:
            mean = self._outputs.mean.to(self._cross)
            product = self._cross[:, chosen] / self._outputs.number
            return (product - mean[:, chosen, None] * mean[center]).transpose(0, 1)
        mean = self._inputs.mean
        covariance = self._cross / self._inputs.number - mean[:, :, None] * mean[center]
        by_input = covariance.to(self._filters).transpose(0, 1).flatten(1)
        mixed = (self._filters[chosen] @ by_input).view(-1, self._filters.shape[1])
        return (mixed @ self._filters.T).view(-1, len(self._cross), len(self._filters))


class _Mean:
    """Running mean ``(d^2, k)`` of values ``(d^2, N, k)``, less the mean of the first ones.

    Small variations around a large mean would lose their digits.
    """

    def __init__(self) -> None:
        self.number = 0
        self._shift = self._total = torch.zeros(())

    @property
    def mean(self) -> Tensor:
        return self._total / self.number

    def centered(self, values: Tensor) -> Tensor:
        if not self.number:
            self._shift = values.mean(1, keepdim=True)
        values = values - self._shift
        self._total = self._total + values.sum(1, dtype=torch.float64)
        self.number += values.shape[1]
        return values


def _around(shape: tuple[int, int, int], positions: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Positions ``(size^2 N, 3)`` around others, and which lie inside ``(size^2, N, 1)``."""
    reach = torch.arange(size) - size // 2
    shifts = torch.cartesian_prod(torch.zeros(1, dtype=torch.long), reach, reach)
    around = positions[None] + shifts[:, None]
    largest = torch.tensor(shape) - 1
    inside = ((around >= 0) & (around <= largest)).all(2, keepdim=True)
    return around.minimum(largest).clamp_min(0).flatten(0, 1), inside.float()
