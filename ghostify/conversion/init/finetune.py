"""Gradient steps on one Ghost module's own error."""

from __future__ import annotations

import torch
from torch import Tensor

from ghostify.conversion.init.ghost_fit import Fit
from ghostify.conversion.init.patches import Sample

_RATE = 2e-3
_BATCH = 1024


def polish(fitted: Fit, sample: Sample, steps: int) -> None:
    """Some steps of Adam on the weighted error at the sample's positions; in place.

    Intrinsic filters and cheap kernels change together here, which the closed forms do in turn.
    There is no backward pass through the network. Nothing changes if it does not help.

    Args:
        steps: how many, with a rate that falls from 2e-3 to 0.
    """
    parameters = [fitted.weight, fitted.kernel, fitted.intrinsic_bias, fitted.ghost_bias]
    before, residual_before = [parameter.clone() for parameter in parameters], fitted.residual
    scale = fitted.importance
    scale = (scale / (scale * fitted.variance).sum().clamp_min(1e-30)).to(fitted.weight)
    optimizer = torch.optim.Adam([p.requires_grad_() for p in parameters], lr=_RATE)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, steps)
    generator = torch.Generator().manual_seed(0)
    with torch.enable_grad():
        for _ in range(steps):
            drawn = torch.randint(len(sample), (_BATCH,), generator=generator)
            windows, valid, targets = sample.at(drawn)
            given = _predicted(fitted, sample, windows, valid)
            loss = ((given - targets).square().mean(0) * scale).sum()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    for parameter in parameters:
        parameter.requires_grad_(False)
    error_before, fitted.error = fitted.error, _error(fitted, sample)
    if not fitted.residual <= residual_before:
        fitted.error = error_before
        for parameter, value in zip(parameters, before, strict=True):
            parameter.copy_(value)


def _error(fitted: Fit, sample: Sample) -> Tensor:
    total = torch.zeros_like(fitted.variance)
    for windows, valid, targets in sample.chunks():
        wrong = _predicted(fitted, sample, windows, valid) - targets
        total += wrong.square().sum(0, dtype=torch.float64)
    return total / len(sample)


def _predicted(fitted: Fit, sample: Sample, windows: Tensor, valid: Tensor) -> Tensor:
    """``(N, n)``: what the module gives at the positions, in the original order."""
    bias = fitted.intrinsic_bias if fitted.bias_in_maps else None
    maps = sample.maps(windows, valid, fitted.weight, bias)
    sources = torch.arange(len(fitted.kernel), device=maps.device) % len(fitted.weight)
    ghosts = (maps[:, sources] * fitted.kernel[:, 0]).sum((2, 3)) + fitted.ghost_bias
    reach = sample.dw_size // 2
    intrinsic = maps[:, :, reach, reach]
    if not fitted.bias_in_maps:
        intrinsic = intrinsic + fitted.intrinsic_bias
    order = torch.as_tensor(fitted.choice.order, device=maps.device)
    return torch.cat([intrinsic, ghosts], 1)[:, order]
