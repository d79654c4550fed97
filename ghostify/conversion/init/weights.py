"""Initialization from the original's filters alone, without data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor, nn

from ghostify.conversion.init.assignment import assign, weighted
from ghostify.conversion.init.conv_call import call_of
from ghostify.conversion.init.ghost_fit import GhostFit, indices
from ghostify.conversion.init.pair_errors import best_kernels, explained_variance, pair_errors
from ghostify.conversion.init.task import Task
from ghostify.nn import GhostModule


@torch.no_grad()
def init_from_weights(task: Task) -> dict[str, float]:
    """Choose intrinsic filters and fit cheap kernels as if input pixels were independent.

    Errors are weighted by (gamma / sigma)^2 of the BatchNorm behind the layer; without one they
    are relative to the variance. Means are the BatchNorm's running means. Residual errors are
    relative to the squared norm of the filters.
    """
    residuals = {}
    for number, site in enumerate(task.sites, 1):
        layer: Any = task.dense.get_submodule(site)
        ghost, norm = task.ghost(site), task.following_norms.get(site)
        fit = _fit(layer, ghost, task.dense.get_submodule(norm) if norm else None)
        residuals[site] = fit.residual
        constants = fit.write(ghost, layer, refitted=False)
        if constants is not None:
            task.shift_mean(site, constants)
        task.report(number, len(task.sites), f"{site}, error {residuals[site]:.2%}")
    return residuals


def _fit(layer: nn.Conv2d, module: GhostModule, norm: nn.Module | None) -> GhostFit:
    moments, bias = FilterMoments.of(layer, module.dw_size), layer.bias
    weight, importance = moments.weight, norm_importance(moments, norm)
    if norm is not None:
        mean = norm.get_buffer("running_mean")
    else:
        mean = torch.zeros_like(importance) if bias is None else bias
    cost, zero = filter_errors(moments, module.dw_size)
    intrinsic: int = module.primary_conv[0].out_channels  # type: ignore[assignment]
    assignment = assign(*weighted(cost, zero, importance), intrinsic)
    centers, ghosts, sources = indices(assignment, weight.device)
    made_of = weight[centers][sources]
    covariance, cross = moments.covariance(made_of), moments.paired(made_of, weight[ghosts])
    kernel = best_kernels(covariance, cross)
    variance, error = moments.variance.double(), zero.double()
    error[ghosts] = variance[ghosts] - explained_variance(kernel, covariance, cross)
    return GhostFit(
        weight=weight[centers].clone(),
        kernel=kernel.to(weight).view(-1, 1, moments.dw_size, moments.dw_size),
        intrinsic_bias=torch.zeros_like(mean[centers]) if bias is None else bias[centers].clone(),
        ghost_bias=mean[ghosts] - (kernel.sum(1).to(mean) * mean[centers][sources]),
        assignment=assignment,
        bias_before_ghosts=norm is None or bias is not None,
        error=error.clamp_min(0),
        variance=variance,
        importance=importance.double(),
    )


def filter_errors(moments: FilterMoments, dw_size: int) -> tuple[Tensor, Tensor]:
    """Errors of outputs as ghosts of each other ``(n, n)``, and zeros ``(n,)``."""
    variance = moments.variance
    if moments.weight.shape[2:] == (1, 1):
        dw_size = 1  # shifted copies are independent of every target
    cost = pair_errors(replace(moments, dw_size=dw_size), variance, dw_size)
    return cost, torch.zeros_like(variance)


@torch.no_grad()
def norm_importance(moments: FilterMoments, norm: nn.Module | None) -> Tensor:
    """``(n,)``: (gamma / sigma)^2 of the BatchNorm, or the inverse variance without one.

    Filters of zeros have none.
    """
    if norm is None:
        variance = moments.variance
        return torch.where(variance > 1e-20, 1 / variance, 0.0)
    scale = 1 / (norm.get_buffer("running_var") + norm.eps)  # type: ignore[operator]
    return scale * norm.weight.square() if isinstance(norm.weight, Tensor) else scale


@dataclass(frozen=True)
class FilterMoments:
    """Moments of the feature maps of filters ``(n, c, k, k')``; callable for `pair_errors`.

    Attributes:
        weight: the filters.
        stride, dilation: of the convolution. A shift by one output is one by ``stride`` inputs.
        dw_size: d.
    """

    weight: Tensor
    stride: tuple[int, int]
    dilation: tuple[int, int]
    dw_size: int

    @classmethod
    @torch.no_grad()
    def of(cls, layer: nn.Conv2d, dw_size: int) -> FilterMoments:
        """The moments of a layer, with its filters as they convolve, after standardization."""
        call = call_of(layer, (layer.weight.new_zeros(1, layer.in_channels, 64, 64),))
        return cls(call.weight, call.stride, call.dilation, dw_size)

    @property
    def variance(self) -> Tensor:
        """``(n,)``: squared norms of the filters."""
        return self.weight.flatten(1).square().sum(1)

    def __call__(self, chosen: slice) -> tuple[Tensor, Tensor]:
        some = self.weight[chosen]
        cross = [self._overlap(some, self.weight, shift) for shift in self._shifts]
        return self.covariance(some), torch.stack(cross, 1)

    def covariance(self, weight: Tensor) -> Tensor:
        """``(i, d^2, d^2)``: each filter against its own shifted copies."""
        overlap = cache(partial(self._paired_overlap, weight, weight))  # of 25 shifts, not 81
        rows = [[overlap((u[0] - v[0], u[1] - v[1])) for v in self._shifts] for u in self._shifts]
        return torch.stack([torch.stack(row, 1) for row in rows], 1).double()

    def paired(self, sources: Tensor, targets: Tensor) -> Tensor:
        """``(g, d^2)``: shifted copies of each source against its target."""
        columns = [self._paired_overlap(sources, targets, shift) for shift in self._shifts]
        return torch.stack(columns, 1).double()

    @property
    def _shifts(self) -> list[tuple[int, int]]:
        reach = range(-(self.dw_size // 2), self.dw_size // 2 + 1)
        return [(down, across) for down in reach for across in reach]

    def _overlap(self, first: Tensor, second: Tensor, shift: tuple[int, int]) -> Tensor:
        taps = self._common_taps(first, second, shift)
        return taps[0] @ taps[1].T if taps else first.new_zeros(len(first), len(second))

    def _paired_overlap(self, first: Tensor, second: Tensor, shift: tuple[int, int]) -> Tensor:
        taps = self._common_taps(first, second, shift)
        return (taps[0] * taps[1]).sum(1) if taps else first.new_zeros(len(first))

    def _common_taps(
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
