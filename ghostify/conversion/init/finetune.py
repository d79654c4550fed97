"""Gradient steps on the reconstruction error of one Ghost module."""

from __future__ import annotations

import torch
from torch import Tensor

from ghostify.conversion.init.ghost_fit import GhostFit
from ghostify.conversion.init.sample import Sample

_LR = 2e-3
_BATCH = 1024


def finetune(fit: GhostFit, sample: Sample, steps: int) -> None:
    """Minimize the weighted error of ``fit`` on the sample with Adam, in place.

    Intrinsic filters, cheap kernels and biases train together, without a backward pass through
    the network. The learning rate falls linearly from 2e-3 to 0. If the error does not fall,
    ``fit`` stays unchanged.
    """
    parameters = [fit.weight, fit.kernel, fit.intrinsic_bias, fit.ghost_bias]
    before = [parameter.clone() for parameter in parameters]
    error_before, residual_before = fit.error, fit.residual
    scale = fit.importance
    scale = (scale / (scale * fit.variance).sum().clamp_min(1e-30)).to(fit.weight)
    optimizer = torch.optim.Adam([p.requires_grad_() for p in parameters], lr=_LR)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, steps)
    generator = torch.Generator().manual_seed(0)
    with torch.enable_grad():
        for _ in range(steps):
            columns = torch.randint(len(sample), (_BATCH,), generator=generator)
            windows, valid, targets = sample.at(columns)
            error = _outputs(fit, sample, windows, valid) - targets
            loss = (error.square().mean(1) * scale).sum()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    for parameter in parameters:
        parameter.requires_grad_(False)
    fit.error = _mean_squared_error(fit, sample)
    if not fit.residual <= residual_before:
        fit.error = error_before
        for parameter, value in zip(parameters, before, strict=True):
            parameter.copy_(value)


def _mean_squared_error(fit: GhostFit, sample: Sample) -> Tensor:
    total = torch.zeros_like(fit.variance)
    for windows, valid, targets in sample.chunks():
        error = _outputs(fit, sample, windows, valid) - targets
        total += error.square().sum(1, dtype=torch.float64)
    return total / len(sample)


def _outputs(fit: GhostFit, sample: Sample, windows: Tensor, valid: Tensor) -> Tensor:
    """``(n, N)``: outputs of the Ghost module at the positions."""
    bias = fit.intrinsic_bias if fit.bias_before_ghosts else None
    around = sample.outputs_around(windows, valid, fit.weight, bias)
    sources = torch.arange(len(fit.kernel), device=around.device) % len(fit.weight)
    ghosts = (around[sources] * fit.kernel[:, 0, :, :, None]).sum((1, 2)) + fit.ghost_bias[:, None]
    reach = sample.dw_size // 2
    intrinsic = around[:, reach, reach]
    if not fit.bias_before_ghosts:
        intrinsic = intrinsic + fit.intrinsic_bias[:, None]
    order = torch.as_tensor(fit.assignment.order, device=around.device)
    return torch.cat([intrinsic, ghosts])[order]
