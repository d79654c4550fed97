"""Refit a layer on the inputs that it now gets, towards what the original gave."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from ghostify.conversion.init.patches import Sample

_LARGE = 2500
"""Unknowns from which on sums are kept in float32: a float64 Gram matrix of 4,608 inputs (512 maps,
3x3) alone takes 170 MB."""


def refit(sample: Sample, weight: Tensor, ridge: float, *, intercept: bool = True) -> Tensor:
    """Weights that give the targets from the sample's inputs, drawn towards those given.

    With patches P (N x c k^2), centred, and targets Y, centred: W = W0 + argmin_D of
    ||P D - (Y - P W0)||^2 + ridge t ||D||^2, where t is the mean diagonal of P^T P. Grouped
    layers are solved group by group.

    Args:
        weight: ``(n, c / groups, k, k')``.
        ridge: how strongly the old weights are held on to.
        intercept: whether a bias can take up a difference of means.
    """
    outputs, kernel = len(weight), (weight.shape[2], weight.shape[3])
    groups = sample.windows.shape[1] // weight.shape[1]
    old = weight.reshape(groups, outputs // groups, -1)
    inputs = old.shape[2]
    device = weight.device

    def grouped(values: Tensor) -> Tensor:
        """``(N, groups * any, ...)`` as ``(groups, N, any)``."""
        return values.reshape(len(values), groups, -1).transpose(0, 1)

    x_sum = torch.zeros(groups, 1, inputs, dtype=torch.float64, device=device)
    y_sum = torch.zeros(groups, 1, outputs // groups, dtype=torch.float64, device=device)
    if intercept:
        for windows, _, targets in sample.chunks():
            patches = grouped(sample.patches(windows, kernel))
            x_sum += patches.sum(1, keepdim=True, dtype=torch.float64)
            y_sum += grouped(targets).sum(1, keepdim=True, dtype=torch.float64)
    x_mean, y_mean = (x_sum / len(sample)).float(), (y_sum / len(sample)).float()

    def parts() -> Iterator[tuple[Tensor, Tensor]]:
        """Centred inputs, and what the old weights lack, some positions at a time."""
        for windows, _, targets in sample.chunks():
            x = grouped(sample.patches(windows, kernel)) - x_mean
            yield x, grouped(targets) - y_mean - x @ old.transpose(1, 2)

    if len(sample) < inputs:
        change = _change_by_positions(parts(), ridge)
    else:
        change = _change_by_inputs(parts(), ridge, inputs)
    return weight + change.transpose(1, 2).reshape(weight.shape).to(weight)


def _change_by_inputs(parts: Iterable[tuple[Tensor, Tensor]], ridge: float, inputs: int) -> Tensor:
    """``(groups, inputs, outputs)``, from normal equations of as many unknowns as inputs."""
    exact = torch.float32 if inputs > _LARGE else torch.float64
    gram = cross = torch.zeros((), dtype=exact)
    for x, missing in parts:
        if gram.dim() == 0:
            gram = x.new_zeros(len(x), inputs, inputs, dtype=exact)
            cross = x.new_zeros(len(x), inputs, missing.shape[2], dtype=exact)
        gram += x.transpose(1, 2) @ x
        cross += x.transpose(1, 2) @ missing
    diagonal = gram.diagonal(dim1=1, dim2=2)
    diagonal += ridge * diagonal.mean(1, keepdim=True) + torch.finfo(exact).tiny
    torch.linalg.cholesky(gram, out=gram)
    return torch.cholesky_solve(cross, gram)


def _change_by_positions(parts: Iterable[tuple[Tensor, Tensor]], ridge: float) -> Tensor:
    """The same where there are fewer positions than inputs: as many unknowns as positions.

    ``(P^T P + r I)^-1 P^T R = P^T (P P^T + r I)^-1 R``.
    """
    x, missing = (torch.cat(part, 1) for part in zip(*parts, strict=True))
    exact = torch.float32 if x.shape[1] > _LARGE else torch.float64
    gram = (x @ x.transpose(1, 2)).to(exact)
    diagonal = gram.diagonal(dim1=1, dim2=2)
    level = diagonal.sum(1, keepdim=True) / x.shape[2]
    diagonal += ridge * level + torch.finfo(exact).tiny
    torch.linalg.cholesky(gram, out=gram)
    return x.transpose(1, 2) @ torch.cholesky_solve(missing.to(exact), gram).to(x)
