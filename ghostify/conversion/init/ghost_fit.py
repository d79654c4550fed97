"""Closed-form fit of a Ghost module."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ghostify.conversion.init.assignment import Assignment, assign, weighted
from ghostify.conversion.init.pair_errors import (
    best_kernels,
    covariances,
    explained_variance,
    pair_errors,
)
from ghostify.conversion.init.sample import Sample
from ghostify.nn import GhostModule

_PAIR_POSITIONS = 4096
"""Positions for the errors of all pairs; the chosen pairs are fitted to all positions."""


@dataclass
class GhostFit:
    """Weights of a Ghost module and the errors of its outputs.

    Attributes:
        weight: ``(m, c, k, k')``, intrinsic filters.
        kernel: ``(n - m, 1, d, d)``, cheap kernels.
        intrinsic_bias, ghost_bias: ``(m,)`` and ``(n - m,)``.
        assignment: which outputs are intrinsic, and the sources of the others.
        bias_before_ghosts: whether the primary convolution adds the intrinsic bias, so that ghosts
            are made of biased outputs. Otherwise all biases are added after the module.
        error: ``(n,)``, mean squared error of each output.
        variance: ``(n,)``, of the targets.
        importance: ``(n,)``, weights of the errors.
    """

    weight: Tensor
    kernel: Tensor
    intrinsic_bias: Tensor
    ghost_bias: Tensor
    assignment: Assignment
    bias_before_ghosts: bool
    error: Tensor
    variance: Tensor
    importance: Tensor

    @property
    def residual(self) -> float:
        """Weighted error relative to the weighted variance."""
        total = (self.importance * self.variance).sum()
        return float((self.importance * self.error).sum() / total) if total > 0 else 0.0

    @torch.no_grad()
    def write(self, module: GhostModule, layer: nn.Module, *, refitted: bool) -> Tensor | None:
        """Write the weights into the Ghost module that replaces ``layer``.

        Unless ``refitted``, the filters are those of ``layer``. Its parameters all have the filters
        as first dimension.

        Returns:
            Constants ``(n,)`` to add to the module's outputs, None if its biases hold them.
        """
        primary, cheap = module.primary_conv[0], module.cheap_operation[0]
        own = dict(primary.named_parameters())
        order = torch.as_tensor(self.assignment.order, device=self.weight.device)
        for name, parameter in layer.named_parameters():
            own[name].copy_(parameter[torch.as_tensor(self.assignment.intrinsic)])
        if refitted:
            own["weight"].copy_(self.weight)
        cheap.get_parameter("weight").copy_(self.kernel)
        identity = torch.equal(order, torch.arange(len(order), device=order.device))
        module.order = None if identity else order
        if not self.bias_before_ghosts:
            return torch.cat([self.intrinsic_bias, self.ghost_bias])[order]
        if "bias" in own or bool(self.intrinsic_bias.any() or self.ghost_bias.any()):
            for operation, bias in ((primary, self.intrinsic_bias), (cheap, self.ghost_bias)):
                _set_bias(operation, bias)
        return None


def _set_bias(operation: nn.Module, bias: Tensor) -> None:
    if isinstance(operation.bias, nn.Parameter):
        operation.bias.copy_(bias)
    else:
        operation.bias = nn.Parameter(bias.to(operation.get_parameter("weight")).clone())


def fit_to_sample(
    sample: Sample, weight: Tensor, importance: Tensor, intrinsic: int, *, bias_before_ghosts: bool
) -> GhostFit:
    """Choose m ``intrinsic`` filters from ``weight`` and fit the other outputs as their ghosts."""
    mean, variance, offset, intrinsic_error = _first_moments(sample, weight)
    bias = offset.to(weight)
    bias_of_sources = bias if bias_before_ghosts else None
    cost = _pair_errors(sample.thinned(_PAIR_POSITIONS), weight, bias_of_sources)
    assignment = assign(*weighted(cost, intrinsic_error, importance), intrinsic)
    centers, ghosts, sources = indices(assignment, weight.device)
    chunks = _chunks(sample, weight, bias_of_sources, mean, centers, ghosts)
    covariance, cross, source_mean = covariances(chunks, sources)
    covariance, source_mean = covariance[sources], source_mean[sources]
    explained = explained_variance(best_kernels(covariance, cross), covariance, cross)
    noise = (variance[ghosts] - explained).clamp_min(0) / len(sample)
    kernel = best_kernels(covariance, cross, noise)
    error = intrinsic_error.clone()
    error[ghosts] = variance[ghosts] - explained_variance(kernel, covariance, cross)
    return GhostFit(
        weight=weight[centers].clone(),
        kernel=kernel.to(weight).view(-1, 1, sample.dw_size, sample.dw_size),
        intrinsic_bias=bias[centers],
        ghost_bias=(mean[ghosts] - (kernel * source_mean).sum(1)).to(weight),
        assignment=assignment,
        bias_before_ghosts=bias_before_ghosts,
        error=error.clamp_min(0),
        variance=variance,
        importance=importance.double(),
    )


def _pair_errors(sample: Sample, weight: Tensor, bias: Tensor | None) -> Tensor:
    """``(n, n)``: error of output j as a ghost of filter i."""
    mean, variance, _, _ = _first_moments(sample, weight)

    def moments(chosen: slice) -> tuple[Tensor, Tensor]:
        return covariances(_chunks(sample, weight, bias, mean, chosen, slice(None)))[:2]

    return pair_errors(moments, variance.to(weight), sample.dw_size)


def _chunks(
    sample: Sample,
    weight: Tensor,
    bias: Tensor | None,
    mean: Tensor,
    chosen: slice | Tensor,
    targeted: slice | Tensor,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Outputs of chosen filters around positions, and centered targets there."""
    weight, bias = weight[chosen], None if bias is None else bias[chosen]
    for windows, valid, targets in sample.chunks():
        z = sample.outputs_around(windows, valid, weight, bias)
        yield z, (targets - mean.to(targets))[:, targeted]


def _first_moments(sample: Sample, weight: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Mean and variance of targets, then of targets minus filter outputs; ``(n,)``, float64."""
    y, y2, residual, residual2 = (
        torch.zeros(len(weight), dtype=torch.float64, device=weight.device) for _ in range(4)
    )
    for windows, _, targets in sample.chunks():
        targets = targets.double()
        missing = targets - sample.outputs(windows, weight)
        y += targets.sum(0)
        y2 += targets.square().sum(0)
        residual += missing.sum(0)
        residual2 += missing.square().sum(0)
    y, residual = y / len(sample), residual / len(sample)
    variance = (y2 / len(sample) - y.square()).clamp_min(0)
    return y, variance, residual, (residual2 / len(sample) - residual.square()).clamp_min(0)


def indices(assignment: Assignment, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Intrinsic outputs, ghosts, and the index of each ghost's source in the former."""
    centers = torch.as_tensor(assignment.intrinsic, device=device)
    ghosts = torch.as_tensor(assignment.ghosts, device=device)
    return centers, ghosts, torch.arange(len(ghosts), device=device) % len(centers)
