"""How well each map can be made of each other one, from second moments alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

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
