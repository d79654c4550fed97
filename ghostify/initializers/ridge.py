"""Refit a layer on the inputs that it now gets, towards what the original gave."""

from __future__ import annotations

import torch
from torch import Tensor

from ghostify.initializers.sampling import Sample

_LARGE = 2500
"""Inputs of a filter from which on sums are kept in float32: a float64 Gram matrix of 4,608 inputs
(512 maps, 3x3) alone takes 170 MB."""


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
    exact = torch.float32 if inputs > _LARGE else torch.float64
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
    gram = torch.zeros(groups, inputs, inputs, dtype=exact, device=device)
    cross = torch.zeros(groups, inputs, outputs // groups, dtype=exact, device=device)
    for windows, _, targets in sample.chunks():
        x = grouped(sample.patches(windows, kernel)) - x_mean
        missing = grouped(targets) - y_mean - x @ old.transpose(1, 2)
        gram += x.transpose(1, 2) @ x
        cross += x.transpose(1, 2) @ missing
    diagonal = gram.diagonal(dim1=1, dim2=2)
    level = diagonal.mean(1, keepdim=True)
    diagonal += ridge * level + torch.finfo(exact).tiny
    torch.linalg.cholesky(gram, out=gram)
    change = torch.cholesky_solve(cross, gram).transpose(1, 2)
    return weight + change.reshape(weight.shape).to(weight)
