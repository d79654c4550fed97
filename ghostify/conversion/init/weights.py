"""Initialization from the original's filters alone, without data."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ghostify.conversion.init.filter_moments import FilterMoments
from ghostify.conversion.init.ghost_fit import GhostFit, fit_to_filters
from ghostify.conversion.init.task import Task
from ghostify.nn import GhostModule


@torch.no_grad()
def init_from_weights(task: Task) -> dict[str, float]:
    """Choose intrinsic filters and fit cheap kernels as if input pixels were independent.

    Errors are weighted by (gamma / sigma)^2 of the BatchNorm behind the layer; without one they
    are relative to the variance. Means are the BatchNorm's running means.

    Returns:
        Residual error by site, relative to the squared norm of the filters.
    """
    residuals = {}
    for number, site in enumerate(task.sites, 1):
        layer, ghost = task.original.get_submodule(site), task.ghost(site)
        assert isinstance(layer, nn.Conv2d)
        norm = task.following_norms.get(site)
        fit = _fit(layer, ghost, task.original.get_submodule(norm) if norm else None)
        residuals[site] = fit.residual
        constants = fit.write(ghost, layer, refitted=False)
        if constants is not None:
            task.shift_mean(site, constants)
        task.report(number, len(task.sites), f"{site}, error {residuals[site]:.2%}")
    return residuals


def _fit(layer: nn.Conv2d, ghost: GhostModule, norm: nn.Module | None) -> GhostFit:
    moments = FilterMoments.of(layer, ghost.dw_size)
    bias = layer.bias
    if norm is not None:
        mean = norm.get_buffer("running_mean")
    else:
        mean = torch.zeros_like(moments.variance) if bias is None else bias
    return fit_to_filters(
        moments,
        mean,
        bias,
        norm_importance(moments, norm),
        ghost.primary_conv[0].out_channels,  # type: ignore[arg-type]
        bias_before_ghosts=norm is None or bias is not None,
    )


@torch.no_grad()
def norm_importance(moments: FilterMoments, norm: nn.Module | None) -> Tensor:
    """``(n,)``: (gamma / sigma)^2 of the BatchNorm, or the inverse variance without one."""
    if norm is None:
        return 1 / moments.variance.clamp_min(1e-20)
    scale = 1 / (norm.get_buffer("running_var") + norm.eps)  # type: ignore[operator]
    return scale * norm.weight.square() if isinstance(norm.weight, Tensor) else scale
