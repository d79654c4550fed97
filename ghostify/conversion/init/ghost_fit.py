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
from ghostify.nn.ghost_module import add_bias

_PAIR_POSITIONS = 2048
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
                if operation.bias is None:
                    add_bias(operation)
                operation.get_parameter("bias").copy_(bias)
        return None


def fit_to_sample(
    sample: Sample,
    around: Sample,
    weight: Tensor,
    importance: Tensor,
    intrinsic: int,
    *,
    bias_before_ghosts: bool,
) -> GhostFit:
    """Choose m ``intrinsic`` filters from ``weight`` and fit the other outputs as their ghosts.

    Args:
        sample: what the filters read, for the errors of intrinsic outputs.
        around: what they read around some positions, for those of ghosts.
    """
    bias, intrinsic_error = _own_errors(sample, weight)
    mean, variance = around.mean_target, around.target_variance
    bias_of_sources = bias if bias_before_ghosts else None
    cost = _pair_errors(around.thinned(_PAIR_POSITIONS), weight, bias_of_sources)
    assignment = assign(*weighted(cost, intrinsic_error, importance), intrinsic)
    centers, ghosts, sources = indices(assignment, weight.device)
    chunks = _chunks(around, weight, bias_of_sources, centers, ghosts)
    covariance, cross, source_mean = covariances(chunks, sources)
    covariance, source_mean = covariance[sources], source_mean[sources]
    explained = explained_variance(best_kernels(covariance, cross), covariance, cross)
    noise = (variance[ghosts] - explained).clamp_min(0) / len(around)
    kernel = best_kernels(covariance, cross, noise)
    error = intrinsic_error.clone()
    error[ghosts] = variance[ghosts] - explained_variance(kernel, covariance, cross)
    return GhostFit(
        weight=weight[centers].clone(),
        kernel=kernel.to(weight).view(-1, 1, around.dw_size, around.dw_size),
        intrinsic_bias=bias[centers],
        ghost_bias=(mean[ghosts, 0] - (kernel * source_mean).sum(1)).to(weight),
        assignment=assignment,
        bias_before_ghosts=bias_before_ghosts,
        error=error.clamp_min(0),
        variance=variance,
        importance=importance.double(),
    )


def _pair_errors(around: Sample, weight: Tensor, bias: Tensor | None) -> Tensor:
    """``(n, n)``: error of output j as a ghost of filter i."""
    mixed = None
    if weight.shape[2:] == (1, 1) and 2 * weight.shape[1] <= len(weight):
        mixed = _input_moments(around)

    def moments(chosen: slice) -> tuple[Tensor, Tensor]:
        targeted = slice(None) if mixed is None else slice(0)
        chunks = _chunks(around, weight, bias, chosen, targeted)
        covariance, cross, _ = covariances(chunks)
        if mixed is not None:
            filters = weight.flatten(1)
            if bias is not None:
                filters = torch.cat([filters, bias[:, None]], 1)
            cross = (filters[chosen] @ mixed[:, : filters.shape[1]]).transpose(0, 1)
        return covariance, cross

    return pair_errors(moments, around.target_variance.to(weight), around.dw_size)


def _input_moments(around: Sample) -> Tensor:
    """``(d^2, c + 1, n)``: covariances of a 1x1 convolution's inputs and bias with the targets.

    Those of its outputs follow: they are mixtures of the inputs. It is less work where these are
    few.
    """
    total = shift = torch.zeros(())
    mean = around.mean_target.to(around.targets)
    for windows, valid, targets in around.chunks():
        inputs = torch.cat([windows, valid[None]]).flatten(1, 2).transpose(0, 1)
        shift = inputs.mean(2, keepdim=True) if shift.dim() == 0 else shift
        wanted = (targets - mean.to(targets)).T.expand(len(inputs), -1, -1)
        if total.dim() == 0:
            total = inputs.new_zeros(*inputs.shape[:2], wanted.shape[2])
        total.baddbmm_(inputs - shift, wanted)
    return total.div_(len(around))


def _chunks(
    sample: Sample,
    weight: Tensor,
    bias: Tensor | None,
    chosen: slice | Tensor,
    targeted: slice | Tensor,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Outputs of chosen filters around positions, and centered targets there."""
    weight, bias = weight[chosen], None if bias is None else bias[chosen]
    mean = sample.mean_target.to(weight)
    for windows, valid, targets in sample.chunks():
        z = sample.outputs_around(windows, valid, weight, bias)
        yield z, (targets - mean)[targeted]


def _own_errors(sample: Sample, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Best bias of each filter, and its mean squared error in float64; ``(n,)``."""
    bias = (sample.mean_target - sample.outputs(sample.mean_window, weight)).to(weight)
    error = torch.zeros(len(weight), dtype=torch.float64, device=weight.device)
    for windows, _, targets in sample.chunks():
        missing = targets - sample.outputs(windows, weight) - bias
        error += missing.square().sum(1)
    return bias[:, 0], error / len(sample)


def indices(assignment: Assignment, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Intrinsic outputs, ghosts, and the index of each ghost's source in the former."""
    centers = torch.as_tensor(assignment.intrinsic, device=device)
    ghosts = torch.as_tensor(assignment.ghosts, device=device)
    return centers, ghosts, torch.arange(len(ghosts), device=device) % len(centers)
