"""From the original's filters alone, without data."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ghostify.conversion.init.ghost_fit import Fit, fit_to_filters
from ghostify.conversion.init.pair_errors import FilterMoments
from ghostify.conversion.init.patches import as_pair, call_of
from ghostify.conversion.init.task import Task
from ghostify.nn import GhostModule


@torch.no_grad()
def from_weights(task: Task) -> dict[str, float]:
    """Keep the filters that serve best as intrinsic ones, and fit cheap kernels to the others.

    As if the input were pixels independent of each other. A map counts by what its batch norm
    makes of it, (gamma / sigma)^2, or else all relative to their variance; means are those that
    the batch norm remembers.

    Returns:
        by site, the residual error of its filters over their norm.
    """
    residuals = {}
    for number, site in enumerate(task.sites, 1):
        layer, ghost = task.original.get_submodule(site), task.ghost(site)
        assert isinstance(layer, nn.Conv2d)
        norm = task.followers.get(site)
        fitted = fit_without_data(layer, ghost, task.original.get_submodule(norm) if norm else None)
        residuals[site] = fitted.residual
        constants = fitted.write(ghost, layer, refitted=False)
        if constants is not None:
            task.move_mean(site, constants)
        task.report(number, len(task.sites), f"{site}, error {residuals[site]:.2%}")
    return residuals


def fit_without_data(layer: nn.Conv2d, ghost: GhostModule, norm: nn.Module | None) -> Fit:
    """Numbers for ``ghost`` from the filters of ``layer`` and the batch norm that reads it."""
    moments = filter_moments(layer, ghost.dw_size)
    importance, bias = map_importance(moments.weight, norm), layer.bias
    if norm is not None:
        mean = norm.get_buffer("running_mean")
    else:
        mean = torch.zeros_like(importance) if bias is None else bias
    return fit_to_filters(
        moments,
        mean,
        bias,
        importance,
        ghost.primary_conv[0].out_channels,  # type: ignore[arg-type]
        bias_in_maps=norm is None or bias is not None,
    )


def filter_moments(layer: nn.Conv2d, dw_size: int) -> FilterMoments:
    """The moments of a layer's maps, from its filters."""
    weight = effective_weight(layer)
    return FilterMoments(weight, as_pair(layer.stride), as_pair(layer.dilation), dw_size)


@torch.no_grad()
def map_importance(weight: Tensor, norm: nn.Module | None) -> Tensor:
    """``(n,)``: what an error in each map counts, by the batch norm that reads it."""
    if norm is None:
        return 1 / weight.flatten(1).square().sum(1).clamp_min(1e-20)
    scale = 1 / (norm.get_buffer("running_var") + norm.eps)  # type: ignore[operator]
    return scale * norm.weight.square() if isinstance(norm.weight, Tensor) else scale


@torch.no_grad()
def effective_weight(layer: nn.Conv2d) -> Tensor:
    """``(n, c, k, k')``, as the layer convolves with it, after any standardisation."""
    return call_of(layer, (layer.weight.new_zeros(1, layer.in_channels, 64, 64),)).weight
