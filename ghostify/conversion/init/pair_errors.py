"""Errors of feature maps as ghosts of each other, from second moments."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

Moments = Callable[[slice], tuple[Tensor, Tensor]]
"""For some candidates: covariances of the d^2 shifted copies of each ``(i, d^2, d^2)``, and of
these with every target ``(i, d^2, n)``."""

_CANDIDATE_BYTES = 2**24
_SINGULAR = 1e-6


def pair_errors(moments: Moments, variance: Tensor, dw_size: int) -> Tensor:
    """``(n, n)``: mean squared error of map j as the best d x d kernel and bias make it of map i.

    With the covariance A_i of the d^2 shifted copies of map i, and their covariances B_ij with
    target j, it is var(y_j) - B_ij^T A_i^-1 B_ij. A few candidates at a time bound the memory of B.
    """
    outputs = len(variance)
    step = max(_CANDIDATE_BYTES // (4 * dw_size**2 * outputs), 1)
    rows = []
    for start in range(0, outputs, step):
        covariance, cross = moments(slice(start, min(start + step, outputs)))
        root = torch.linalg.cholesky(_regularized(covariance))
        unit = torch.eye(root.shape[-1], dtype=root.dtype, device=root.device)
        inverse = torch.linalg.solve_triangular(root, unit, upper=False)
        gain = (inverse.to(cross) @ cross).square().sum(1)  # solving for each map is slower
        rows.append((variance - gain).clamp_min(0))
    return torch.cat(rows)


def best_kernels(covariance: Tensor, cross: Tensor, noise: Tensor | None = None) -> Tensor:
    """``(g, d^2)``: the least-squares kernel of each ghost, in float64.

    Args:
        covariance: ``(g, d^2, d^2)``, of the shifted copies of its source.
        cross: ``(g, d^2)``, of these with its target.
        noise: ``(g,)``, unexplained variance of the target over the number of positions: the ridge
            of Bayesian regression. It keeps kernels small where the source hardly varies.
    """
    exact = _regularized(covariance.double())
    if noise is not None:
        exact.diagonal(dim1=1, dim2=2).add_(noise.double()[:, None])
    root = torch.linalg.cholesky(exact)
    return torch.cholesky_solve(cross.double()[..., None], root)[..., 0]


def explained_variance(kernel: Tensor, covariance: Tensor, cross: Tensor) -> Tensor:
    """``(g,)``: the part of each target's variance that its kernel explains."""
    filtered = (covariance @ kernel[..., None])[..., 0]
    return (2 * kernel * cross.double() - kernel * filtered).sum(1)


def covariances(
    chunks: Iterable[tuple[Tensor, Tensor]], sources: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Accumulate second moments of feature maps ``(i, d, d, N)`` and centered targets ``(n, N)``.

    With ``sources`` ``(n,)``, each target is paired with one feature map, and sums are in float64.

    Returns:
        Covariances of shifted copies ``(i, d^2, d^2)``, of these with the targets ``(i, d^2, n)``
        or ``(n, d^2)``, and means ``(i, d^2)``.
    """
    gram = cross = total = torch.zeros(())
    shift: Tensor | None = None  # small variations around a large mean would lose their digits
    number = 0
    for maps, targets in chunks:
        z = maps.flatten(1, 2)
        shift = z.mean(2, keepdim=True, dtype=torch.float64).to(z) if shift is None else shift
        z = z - shift
        if sources is not None:
            z, targets = z.double(), targets.double()
            cross = cross + (z[sources] @ targets[:, :, None])[:, :, 0]
        else:
            if cross.dim() == 0:
                cross = z.new_zeros(*z.shape[:2], len(targets))
            cross.flatten(0, 1).addmm_(z.flatten(0, 1), targets.T)
        gram = gram + (z @ z.transpose(1, 2)).double()
        total = total + z.sum(2).double()
        number += z.shape[2]
    assert shift is not None
    mean = total / number
    covariance = gram / number - mean[:, :, None] * mean[:, None]
    return covariance, cross / number, mean + shift[:, :, 0]


def _regularized(covariance: Tensor) -> Tensor:
    """Add enough to the diagonal to solve for constant and smooth feature maps."""
    level = covariance.diagonal(dim1=1, dim2=2).mean(1).clamp_min(0)
    unit = torch.eye(covariance.shape[-1], dtype=covariance.dtype, device=covariance.device)
    return covariance + (_SINGULAR * level + 1e-20)[:, None, None] * unit
