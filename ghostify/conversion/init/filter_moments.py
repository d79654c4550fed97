"""Second moments of feature maps from filters alone, for inputs of independent pixels."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ghostify.conversion.init.conv_call import call_of


@dataclass(frozen=True)
class FilterMoments:
    """Moments of the feature maps of filters ``(n, c, k, k')``; callable for `pair_errors`.

    Attributes:
        weight: the filters.
        stride, dilation: of the convolution. A shift by one output is one by ``stride`` inputs.
        dw_size: d.
    """

    weight: Tensor
    stride: tuple[int, int]
    dilation: tuple[int, int]
    dw_size: int

    @classmethod
    @torch.no_grad()
    def of(cls, layer: nn.Conv2d, dw_size: int) -> FilterMoments:
        """The moments of a layer, with its filters as they convolve, after standardization."""
        call = call_of(layer, (layer.weight.new_zeros(1, layer.in_channels, 64, 64),))
        return cls(call.weight, call.stride, call.dilation, dw_size)

    @property
    def variance(self) -> Tensor:
        """``(n,)``: squared norms of the filters."""
        return self.weight.flatten(1).square().sum(1)

    def __call__(self, chosen: slice) -> tuple[Tensor, Tensor]:
        some = self.weight[chosen]
        cross = [self._overlap(some, self.weight, shift) for shift in self._shifts]
        return self.covariance(some), torch.stack(cross, 1)

    def covariance(self, weight: Tensor) -> Tensor:
        """``(i, d^2, d^2)``: each filter against its own shifted copies."""
        shifts = self._shifts
        rows = [
            [self._paired_overlap(weight, weight, (u[0] - v[0], u[1] - v[1])) for v in shifts]
            for u in shifts
        ]
        return torch.stack([torch.stack(row, 1) for row in rows], 1).double()

    def paired(self, sources: Tensor, targets: Tensor) -> Tensor:
        """``(g, d^2)``: shifted copies of each source against its target."""
        columns = [self._paired_overlap(sources, targets, shift) for shift in self._shifts]
        return torch.stack(columns, 1).double()

    @property
    def _shifts(self) -> list[tuple[int, int]]:
        reach = range(-(self.dw_size // 2), self.dw_size // 2 + 1)
        return [(down, across) for down in reach for across in reach]

    def _overlap(self, first: Tensor, second: Tensor, shift: tuple[int, int]) -> Tensor:
        taps = self._common_taps(first, second, shift)
        return taps[0] @ taps[1].T if taps else first.new_zeros(len(first), len(second))

    def _paired_overlap(self, first: Tensor, second: Tensor, shift: tuple[int, int]) -> Tensor:
        taps = self._common_taps(first, second, shift)
        return (taps[0] * taps[1]).sum(1) if taps else first.new_zeros(len(first))

    def _common_taps(
        self, first: Tensor, second: Tensor, shift: tuple[int, int]
    ) -> tuple[Tensor, Tensor] | None:
        """The taps of both that fall on the same input pixels when the first is shifted."""
        a, b = [], []
        for axis in (0, 1):
            pixels, step = shift[axis] * self.stride[axis], self.dilation[axis]
            taps, size = pixels // step, first.shape[2 + axis]
            if pixels % step or abs(taps) >= size:
                return None
            a.append(slice(max(-taps, 0), size - max(taps, 0)))
            b.append(slice(max(taps, 0), size - max(-taps, 0)))
        return first[:, :, a[0], a[1]].flatten(1), second[:, :, b[0], b[1]].flatten(1)
