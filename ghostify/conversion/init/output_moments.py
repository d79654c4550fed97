"""Second moments of a convolution's outputs at random positions, and of those around them."""

from __future__ import annotations

import torch
from torch import Tensor

from ghostify.conversion.init.conv_call import ConvCall
from ghostify.conversion.init.sample import Window, valid_around, values_around


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
        self._filters = call.weight.flatten(1)
        inside = valid_around(call.output_shape, positions, self.dw_size).to(outputs.device)
        maps = values_around(outputs, positions, self.dw_size).float()
        maps = maps if call.bias is None else maps.sub_(call.bias[:, None, None, None])
        maps = self._outputs.centered(maps.mul_(inside).flatten(1, 2))
        self._gram = self._gram + (maps @ maps.transpose(1, 2)).double()
        if self._mixes_few:
            window = Window.of(call, self.dw_size)
            inputs = torch.stack(list(window.patches(window.read(call, positions))), 1)
            maps = self._inputs.centered(inputs.mul_(inside.flatten(0, 1)))
        center = maps[:, maps.shape[1] // 2]
        if self._cross.dim() == 0:
            self._cross = maps.new_zeros(len(maps) * maps.shape[1], len(maps))
        self._cross.addmm_(maps.flatten(0, 1), center.T)

    @property
    def variance(self) -> Tensor:
        """``(n,)``: of the outputs."""
        center = self.dw_size**2 // 2
        return self._covariance(slice(None))[:, center, center].to(self._filters)

    def __call__(self, chosen: slice) -> tuple[Tensor, Tensor]:
        return self._covariance(chosen), self._cross_covariance(chosen)

    def _covariance(self, chosen: slice) -> Tensor:
        mean = self._outputs.mean[chosen]
        return self._gram[chosen] / self._outputs.number - mean[:, :, None] * mean[:, None]

    def _cross_covariance(self, chosen: slice) -> Tensor:
        own = self._inputs if self._mixes_few else self._outputs
        mean = own.mean.to(self._cross)
        cross = self._cross.view(*mean.shape, -1)
        center = mean[:, self.dw_size**2 // 2]
        if not self._mixes_few:
            return cross[chosen] / own.number - mean[chosen, :, None] * center
        covariance = cross / own.number - mean[:, :, None] * center
        mixed = self._filters[chosen] @ covariance.flatten(1)
        mixed = mixed.view(-1, len(center)) @ self._filters.T
        return mixed.view(-1, self.dw_size**2, len(self._filters))


class _Mean:
    """Running mean ``(k, d^2)`` of values ``(k, d^2, N)``, less the mean of the first ones.

    Small variations around a large mean would lose their digits.
    """

    def __init__(self) -> None:
        self.number = 0
        self._shift = self._total = torch.zeros(())

    @property
    def mean(self) -> Tensor:
        return self._total / self.number

    def centered(self, values: Tensor) -> Tensor:
        """Subtract the mean of the first values in place."""
        if not self.number:
            self._shift = values.mean(2, keepdim=True)
        values -= self._shift
        self._total = self._total + values.sum(2).double()
        self.number += values.shape[2]
        return values
