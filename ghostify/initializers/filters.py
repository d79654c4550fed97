"""Second moments of a convolution's maps where nothing is known of its input: filters alone.

An input of independent pixels of one variance has maps whose covariances are the products of
filters, shifted against each other as the cheap operation shifts maps.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class FilterMoments:
    """Moments of the maps of filters ``(n, c, k, k')``.

    Attributes:
        stride, dilation: of the convolution: a shift by one output is one by ``stride`` inputs.
    """

    weight: Tensor
    stride: tuple[int, int]
    dilation: tuple[int, int]
    dw_size: int

    def __call__(self, chosen: slice) -> tuple[Tensor, Tensor]:
        """For `pair_errors`."""
        some = self.weight[chosen]
        cross = [self._overlap(some, self.weight, shift) for shift in self._shifts]
        return self.covariance(some), torch.stack(cross, 1)

    def covariance(self, weight: Tensor) -> Tensor:
        """``(i, d^2, d^2)``: each filter against its own shifted copies."""
        shifts = self._shifts
        rows = [
            [self._own_overlap(weight, weight, (u[0] - v[0], u[1] - v[1])) for v in shifts]
            for u in shifts
        ]
        return torch.stack([torch.stack(row, 1) for row in rows], 1).double()

    def paired(self, sources: Tensor, targets: Tensor) -> Tensor:
        """``(g, d^2)``: shifted copies of each source against its target."""
        columns = [self._own_overlap(sources, targets, shift) for shift in self._shifts]
        return torch.stack(columns, 1).double()

    @property
    def _shifts(self) -> list[tuple[int, int]]:
        reach = range(-(self.dw_size // 2), self.dw_size // 2 + 1)
        return [(down, across) for down in reach for across in reach]

    def _parts(
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

    def _overlap(self, first: Tensor, second: Tensor, shift: tuple[int, int]) -> Tensor:
        parts = self._parts(first, second, shift)
        return parts[0] @ parts[1].T if parts else first.new_zeros(len(first), len(second))

    def _own_overlap(self, first: Tensor, second: Tensor, shift: tuple[int, int]) -> Tensor:
        parts = self._parts(first, second, shift)
        return (parts[0] * parts[1]).sum(1) if parts else first.new_zeros(len(first))
