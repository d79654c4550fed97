"""One Ghost module in numbers, and how to find them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ghostify.conversion.init.matching import Choice, choose
from ghostify.conversion.init.pair_errors import (
    FilterMoments,
    best_kernels,
    covariances,
    explained,
    pair_errors,
)
from ghostify.conversion.init.patches import Sample
from ghostify.nn import GhostModule

_PAIR_POSITIONS = 4096
"""Enough to choose by; what is chosen is fitted to all."""


@dataclass
class Fit:
    """A Ghost module in numbers.

    Attributes:
        weight: ``(m, c, k, k')``, of the intrinsic maps.
        kernel: ``(n - m, 1, d, d)``, of the ghosts.
        intrinsic_bias, ghost_bias: ``(m,)`` and ``(n - m,)``.
        choice: which outputs are intrinsic.
        bias_in_maps: whether ghosts are made of maps that have their bias already, as they are
            where the primary convolution adds it. Otherwise all biases are added at the end.
        error: ``(n,)``, mean squared error of each output.
        variance: ``(n,)``, of what it should be.
        importance: ``(n,)``, what an error in it counts.
    """

    weight: Tensor
    kernel: Tensor
    intrinsic_bias: Tensor
    ghost_bias: Tensor
    choice: Choice
    bias_in_maps: bool
    error: Tensor
    variance: Tensor
    importance: Tensor

    @property
    def residual(self) -> float:
        """The error over the variance, each map by its importance."""
        total = (self.importance * self.variance).sum()
        return float((self.importance * self.error).sum() / total) if total > 0 else 0.0

    @torch.no_grad()
    def write(self, module: GhostModule, layer: nn.Module, *, refitted: bool) -> Tensor | None:
        """Put the numbers into ``module``.

        Args:
            layer: the convolution it stands for, whose parameters all have filters for their
                first dimension.
            refitted: whether the primary's weight is `weight`, and not simply that of ``layer``.

        Returns:
            None if the module has got its biases; otherwise the constants ``(n,)`` that something
            behind it has to add to its outputs.
        """
        primary, cheap = module.primary_conv[0], module.cheap_operation[0]
        own = dict(primary.named_parameters())
        order = torch.as_tensor(self.choice.order, device=self.weight.device)
        for name, parameter in layer.named_parameters():
            own[name].copy_(parameter[torch.as_tensor(self.choice.intrinsic)])
        if refitted:
            own["weight"].copy_(self.weight)
        cheap.get_parameter("weight").copy_(self.kernel)
        identity = torch.equal(order, torch.arange(len(order), device=order.device))
        module.order = None if identity else order
        if not self.bias_in_maps:
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
    sample: Sample, weight: Tensor, importance: Tensor, intrinsic: int, *, bias_in_maps: bool
) -> Fit:
    """Choose the intrinsic maps among those of ``weight``, and make the others of them.

    Args:
        weight: ``(n, c, k, k')``, filters for all outputs.
        importance: ``(n,)``, what an error in each output counts.
        intrinsic: m.
        bias_in_maps: as in `Fit`.
    """
    y_mean, variance, offset, own = _first_moments(sample, weight)
    bias = offset.to(weight)
    bias_of_maps = bias if bias_in_maps else None
    cost, _ = sample_errors(sample.thinned(_PAIR_POSITIONS), weight, bias_of_maps)
    choice = _choice(cost, own, importance, intrinsic)
    centres, ghosts, sources = _indices(choice, weight.device)
    maps = _Maps(sample, weight, bias_of_maps, y_mean)
    covariance, cross, mean = covariances(maps.chunks(centres, ghosts), sources)
    covariance, mean = covariance[sources], mean[sources]
    freely = explained(best_kernels(covariance, cross), covariance, cross)
    noise = (variance[ghosts] - freely).clamp_min(0) / len(sample)
    kernel = best_kernels(covariance, cross, noise)
    error = own.clone()
    error[ghosts] = variance[ghosts] - explained(kernel, covariance, cross)
    return Fit(
        weight=weight[centres].clone(),
        kernel=kernel.to(weight).view(-1, 1, sample.dw_size, sample.dw_size),
        intrinsic_bias=bias[centres],
        ghost_bias=(y_mean[ghosts] - (kernel * mean).sum(1)).to(weight),
        choice=choice,
        bias_in_maps=bias_in_maps,
        error=error.clamp_min(0),
        variance=variance,
        importance=importance.double(),
    )


def sample_errors(
    sample: Sample, weight: Tensor, bias: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """``(n, n)``, the error of each map as a ghost of each other; ``(n,)``, that of its filter."""
    y_mean, variance, _, own = _first_moments(sample, weight)
    maps = _Maps(sample, weight, bias, y_mean)
    return pair_errors(maps.moments, variance.to(weight), sample.dw_size), own


@dataclass
class _Maps:
    """Candidate maps around the sample's positions, with the centred targets."""

    sample: Sample
    weight: Tensor
    bias: Tensor | None
    target_mean: Tensor

    def chunks(
        self, chosen: slice | Tensor, wanted: slice | Tensor
    ) -> Iterator[tuple[Tensor, Tensor]]:
        bias = None if self.bias is None else self.bias[chosen]
        for windows, valid, targets in self.sample.chunks():
            z = self.sample.maps(windows, valid, self.weight[chosen], bias)
            yield z, (targets - self.target_mean.to(targets))[:, wanted]

    def moments(self, chosen: slice) -> tuple[Tensor, Tensor]:
        return covariances(self.chunks(chosen, slice(None)))[:2]


def fit_to_filters(
    moments: FilterMoments,
    mean: Tensor,
    bias: Tensor | None,
    importance: Tensor,
    intrinsic: int,
    *,
    bias_in_maps: bool,
) -> Fit:
    """The same from filters alone.

    Args:
        mean: ``(n,)``, of each map, as far as it is known.
        bias: ``(n,)``, of the convolution; None if it has none.
    """
    weight = moments.weight
    variance = weight.flatten(1).square().sum(1)
    cost = pair_errors(moments, variance, moments.dw_size)
    own = torch.zeros_like(variance)
    choice = _choice(cost, own, importance, intrinsic)
    centres, ghosts, sources = _indices(choice, weight.device)
    made_of = weight[centres][sources]
    covariance, cross = moments.covariance(made_of), moments.paired(made_of, weight[ghosts])
    kernel = best_kernels(covariance, cross)
    error = own.double()
    error[ghosts] = variance[ghosts].double() - explained(kernel, covariance, cross)
    return Fit(
        weight=weight[centres].clone(),
        kernel=kernel.to(weight).view(-1, 1, moments.dw_size, moments.dw_size),
        intrinsic_bias=torch.zeros_like(mean[centres]) if bias is None else bias[centres].clone(),
        ghost_bias=mean[ghosts] - (kernel.sum(1).to(mean) * mean[centres][sources]),
        choice=choice,
        bias_in_maps=bias_in_maps,
        error=error.clamp_min(0),
        variance=variance.double(),
        importance=importance.double(),
    )


def _first_moments(sample: Sample, weight: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """First and second moments, all ``(n,)``, in float64.

    Mean and variance of the targets; what must be added to the filters' maps, and the variance of
    what these then lack.
    """
    kernel = (weight.shape[2], weight.shape[3])
    y, y2, lack, lack2 = (
        torch.zeros(len(weight), dtype=torch.float64, device=weight.device) for _ in range(4)
    )
    for windows, _, targets in sample.chunks():
        targets = targets.double()
        missing = targets - F.conv2d(sample.patches(windows, kernel), weight)[:, :, 0, 0]
        y += targets.sum(0)
        y2 += targets.square().sum(0)
        lack += missing.sum(0)
        lack2 += missing.square().sum(0)
    y, lack = y / len(sample), lack / len(sample)
    variance = (y2 / len(sample) - y.square()).clamp_min(0)
    return y, variance, lack, (lack2 / len(sample) - lack.square()).clamp_min(0)


def _choice(cost: Tensor, own: Tensor, importance: Tensor, intrinsic: int) -> Choice:
    weighted = (cost * importance.to(cost)).double().cpu().numpy()
    return choose(weighted, (own * importance.to(own)).double().cpu().numpy(), intrinsic)


def _indices(choice: Choice, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Intrinsic maps, ghosts, and for each ghost the place of its source among the former."""
    centres = torch.as_tensor(choice.intrinsic, device=device)
    ghosts = torch.as_tensor(choice.ghosts, device=device)
    return centres, ghosts, torch.arange(len(ghosts), device=device) % len(centres)
