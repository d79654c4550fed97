"""Ridge regression of a layer's weights from its present inputs to the original's outputs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from ghostify.conversion.init.sample import Sample

_MAX_FLOAT64 = 2500
"""Unknowns above which sums are in float32: a float64 Gram matrix of 4,608 inputs (512 channels,
3x3) takes 170 MB."""


def refit(sample: Sample, weight: Tensor, ridge: float, *, intercept: bool = True) -> Tensor:
    """Return the weights that best give the sample's targets, regularized towards ``weight``.

    With centered patches P (N x c k^2) and centered targets Y, it is W = W0 + argmin_D of
    ||P D - (Y - P W0)||^2 + ridge t ||D||^2, where t is the mean diagonal of P^T P. Groups are
    solved separately.

    Args:
        weight: W0, ``(n, c / groups, k, k')``.
        intercept: whether means are removed, which a bias can absorb.
    """
    groups = sample.windows.shape[1] // weight.shape[1]
    old = weight.reshape(groups, len(weight) // groups, -1)
    inputs = old.shape[2]

    def grouped(values: Tensor) -> Tensor:
        return values.reshape(len(values), groups, -1).transpose(0, 1)

    x_sum = weight.new_zeros(groups, 1, inputs, dtype=torch.float64)
    y_sum = weight.new_zeros(groups, 1, old.shape[1], dtype=torch.float64)
    if intercept:
        for windows, _, targets in sample.chunks():
            patches = grouped(sample.patches(windows, weight))
            x_sum += patches.sum(1, keepdim=True, dtype=torch.float64)
            y_sum += grouped(targets).sum(1, keepdim=True, dtype=torch.float64)
    x_mean, y_mean = (x_sum / len(sample)).float(), (y_sum / len(sample)).float()

    def chunks() -> Iterator[tuple[Tensor, Tensor]]:
        """Centered inputs, and residuals of the old weights."""
        for windows, _, targets in sample.chunks():
            x = grouped(sample.patches(windows, weight)) - x_mean
            yield x, grouped(targets) - y_mean - x @ old.transpose(1, 2)

    if len(sample) < inputs:
        change = _change_by_positions(chunks(), ridge)
    else:
        change = _change_by_inputs(chunks(), ridge, inputs)
    return weight + change.transpose(1, 2).reshape(weight.shape).to(weight)


def _change_by_inputs(chunks: Iterable[tuple[Tensor, Tensor]], ridge: float, inputs: int) -> Tensor:
    """``(groups, inputs, outputs)``, from the normal equations in the inputs."""
    exact = torch.float32 if inputs > _MAX_FLOAT64 else torch.float64
    gram = cross = torch.zeros((), dtype=exact)
    for x, residual in chunks:
        if gram.dim() == 0:
            gram = x.new_zeros(len(x), inputs, inputs, dtype=exact)
            cross = x.new_zeros(len(x), inputs, residual.shape[2], dtype=exact)
        gram += x.transpose(1, 2) @ x
        cross += x.transpose(1, 2) @ residual
    diagonal = gram.diagonal(dim1=1, dim2=2)
    diagonal += ridge * diagonal.mean(1, keepdim=True) + torch.finfo(exact).tiny
    torch.linalg.cholesky(gram, out=gram)
    return torch.cholesky_solve(cross, gram)


def _change_by_positions(chunks: Iterable[tuple[Tensor, Tensor]], ridge: float) -> Tensor:
    """The same by ``(P^T P + r I)^-1 P^T R = P^T (P P^T + r I)^-1 R``, for few positions."""
    x, residual = (torch.cat(part, 1) for part in zip(*chunks, strict=True))
    exact = torch.float32 if x.shape[1] > _MAX_FLOAT64 else torch.float64
    gram = (x @ x.transpose(1, 2)).to(exact)
    diagonal = gram.diagonal(dim1=1, dim2=2)
    level = diagonal.sum(1, keepdim=True) / x.shape[2]
    diagonal += ridge * level + torch.finfo(exact).tiny
    torch.linalg.cholesky(gram, out=gram)
    return x.transpose(1, 2) @ torch.cholesky_solve(residual.to(exact), gram).to(x)
