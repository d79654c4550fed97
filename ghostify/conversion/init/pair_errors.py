"""How well each map can be made of each other one, from second moments alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
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


Moments = Callable[[slice], tuple[Tensor, Tensor]]
"""For some of the candidate maps: covariances of each one's d^2 shifted copies ``(i, d^2, d^2)``,
and with every target ``(i, d^2, n)``."""

_CANDIDATE_BYTES = 2**24
_SINGULAR = 1e-6


def pair_errors(moments: Moments, variance: Tensor, dw_size: int) -> Tensor:
    """``(n, n)``: mean squared error of map j as the best d x d filtering of map i, and a bias.

    For the d^2 shifted copies z_i(u) of map i with covariance A_i, and their covariances B_ij
    with target j, the error is var(y_j) - B_ij^T A_i^-1 B_ij. Candidates come a few at a time, so
    that B, d^2 products of n x N by N x n in all, is never there as a whole.

    Args:
        variance: ``(n,)``, of each target.
    """
    outputs = len(variance)
    step = max(_CANDIDATE_BYTES // (4 * dw_size**2 * outputs), 1)
    rows = []
    for start in range(0, outputs, step):
        covariance, cross = moments(slice(start, min(start + step, outputs)))
        root = torch.linalg.cholesky(_regular(covariance)).to(cross)
        explained = torch.linalg.solve_triangular(root, cross, upper=False).square().sum(1)
        rows.append((variance - explained).clamp_min(0))
    return torch.cat(rows)


def best_kernels(covariance: Tensor, cross: Tensor, noise: Tensor | None = None) -> Tensor:
    """``(g, d^2)``: the kernel of each ghost, in float64.

    Args:
        covariance: ``(g, d^2, d^2)``, of the shifted copies of the map that it is made of.
        cross: ``(g, d^2)``, with its target.
        noise: ``(g,)``, what no kernel explains of the target's variance, over the positions: the
            ridge of Bayesian regression for entries of the order of 1. Without it, a map that
            hardly varies and tells nothing of its ghost may be blown up by hundreds.
    """
    exact = _regular(covariance.double())
    if noise is not None:
        exact.diagonal(dim1=1, dim2=2).add_(noise.double()[:, None])
    root = torch.linalg.cholesky(exact)
    return torch.cholesky_solve(cross.double()[..., None], root)[..., 0]


def explained(kernel: Tensor, covariance: Tensor, cross: Tensor) -> Tensor:
    """``(g,)``: how much of its target's variance each kernel takes away."""
    used = (covariance @ kernel[..., None])[..., 0]
    return (2 * kernel * cross.double() - kernel * used).sum(1)


def covariances(
    chunks: Iterable[tuple[Tensor, Tensor]], sources: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Second moments of maps and targets that come a few positions at a time.

    Args:
        chunks: maps ``(N, i, d, d)`` around positions, and targets ``(N, n)``, centred.
        sources: where given, ``(n,)``: the one map with which each target is paired; all else is
            left out, and sums are in float64.

    Returns:
        covariances of shifted copies ``(i, d^2, d^2)``; with the targets ``(i, d^2, n)``, or
        ``(n, d^2)``; means ``(i, d^2)``.
    """
    gram = cross = total = torch.zeros(())
    shift: Tensor | None = None  # so that what varies little around a large mean is not lost
    number = 0
    for maps, targets in chunks:
        z = maps.flatten(2)
        shift = z.mean(0, dtype=torch.float64).to(z) if shift is None else shift
        z = z - shift
        if sources is not None:
            z, targets = z.double(), targets.double()
        shifted = z.permute(1, 2, 0).contiguous()
        if sources is not None:
            cross = cross + (shifted[sources] @ targets.T[:, :, None])[:, :, 0]
        else:
            cross = cross + (shifted.flatten(0, 1) @ targets).view(*z.shape[1:], -1)
        gram = gram + (shifted @ shifted.transpose(1, 2)).double()
        total = total + z.sum(0, dtype=torch.float64)
        number += len(z)
    assert shift is not None
    mean = total / number
    covariance = gram / number - mean[:, :, None] * mean[:, None]
    return covariance, cross / number, mean + shift


def _regular(covariance: Tensor) -> Tensor:
    """With so much on the diagonal that constant and smooth maps can be solved for."""
    level = covariance.diagonal(dim1=1, dim2=2).mean(1).clamp_min(0)
    unit = torch.eye(covariance.shape[-1], dtype=covariance.dtype, device=covariance.device)
    return covariance + (_SINGULAR * level + 1e-20)[:, None, None] * unit
