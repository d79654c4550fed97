"""Initialization from calibration images: fit the network layer by layer."""

from __future__ import annotations

from itertools import dropwhile

import torch
from torch import Tensor, nn

from ghostify.analysis.convolutions import has_independent_filters
from ghostify.analysis.forward_observer import parameter_owners, shares_parameters
from ghostify.conversion.init.aligned_sample import AlignedSample, aligned_sample
from ghostify.conversion.init.finetune import finetune
from ghostify.conversion.init.fisher import (
    fisher_importance,
    images_for_fisher,
    relative_importance,
)
from ghostify.conversion.init.ghost_fit import GhostFit, fit_to_sample
from ghostify.conversion.init.layerwise import layerwise
from ghostify.conversion.init.ridge import refit
from ghostify.conversion.init.scratch import ScratchMemory
from ghostify.conversion.init.targets import Targets, observe
from ghostify.conversion.init.task import Task
from ghostify.nn import GhostModule
from ghostify.types import GhostifyError

_MIN_POSITIONS, _MAX_POSITIONS = 8192, 16384
_POSITIONS_PER_INPUT = 16
_POSITIONS_AROUND = 4096
"""Positions that cheap kernels are fitted to."""

_FEWEST_POSITIONS = 2048
"""Positions of layers for which more would take too long or too much memory."""

_MAX_PRODUCTS = 6e10  # about a second
_MAX_SAMPLE_BYTES = 2**28


@torch.no_grad()
def init_calibrated(task: Task) -> dict[str, float]:
    """Fit layer by layer in the order of execution, from few images without labels.

    Inputs come from the network as converted so far, targets from the original. All filters of a
    site are refitted by ridge regression, which corrects the errors of the sites before. Then
    intrinsic filters are chosen and ghosts assigned to them by the errors of all pairs, weighted
    by Fisher importance. Dense layers are refitted, too. The layer that computes the last term of
    a residual sum corrects the error of the other term. Residual errors are relative to the
    variance of the output.

    Where channels were dropped, the layers that read them are refitted from those that are left,
    and the targets of narrowed layers are the original's channels that are left.
    """
    sites = dict.fromkeys(task.sites)
    layers = {name: task.dense.get_submodule(name) for name in (*_refittable(task), *sites)}
    positions = {name: _positions(layer) for name, layer in layers.items()}
    task.report(0, len(positions), "the original's feature maps")
    terms = {name: task.following_norms.get(name) for name in task.last_terms}
    targets = observe(task.original, task.batches, positions, terms, task.kept)
    _check_finite(targets)
    images = images_for_fisher(task.batches)
    importance = fisher_importance(task.original, images, task.sites, task.outputs)

    changed = {*sites, *task.kept}
    names = list(dropwhile(lambda name: name not in changed, targets))  # others keep their inputs
    modules = {name: task.converted.get_submodule(name) for name in names}
    pending_terms = [name for name in terms if name in targets and targets[name].max_calls == 1]
    residuals, memory = {}, (ScratchMemory(), ScratchMemory())
    layers = {name: layers[name] for name in names}
    with layerwise(task.converted, task.batches, layers, pending_terms) as (runner, pending):
        for number, name in enumerate(names, 1):
            module, seen, detail = modules[name], targets.pop(name), name
            if isinstance(module, GhostModule):
                around = positions[name] if task.finetune_steps else _POSITIONS_AROUND
                data = aligned_sample(
                    runner, name, pending[name], seen, module.dw_size, around, memory
                )
                weights = importance.get(name)
                if weights is not None and name in task.kept:
                    weights = weights[task.kept[name]]
                fit = _fit_ghost(task, name, module, data, weights)
                residuals[name] = fit.residual
                detail = f"{name}, error {fit.residual:.2%}"
            elif seen.max_calls == 1:
                data = aligned_sample(runner, name, pending[name], seen, memory=memory)
                _refit_dense(task, name, module, data)
            pending[name].install(module)
            task.report(number, len(names), detail)
    return residuals


def _fit_ghost(
    task: Task,
    name: str,
    ghost: GhostModule,
    data: AlignedSample,
    importance: Tensor | None,
) -> GhostFit:
    sample, around, weight = data
    layer = task.dense.get_submodule(name)
    refittable = _convolves_with(layer, weight)
    if refittable:
        weight = refit(sample, weight)
    if importance is None:
        importance = 1 / around.target_variance.clamp_min(1e-20).to(weight)
    fit = fit_to_sample(
        sample,
        around,
        weight,
        relative_importance(importance),
        ghost.primary_conv[0].out_channels,  # type: ignore[arg-type]
        bias_before_ghosts=name not in task.following_norms or layer.bias is not None,
    )
    if task.finetune_steps and refittable:
        finetune(fit, around, task.finetune_steps)
    constants = fit.write(ghost, layer, refitted=refittable)
    if constants is not None:
        task.shift_mean(name, constants)
    if len(sample) < weight[0].numel() // 2:
        task.notes.append(
            f"{name}: {len(sample)} positions for filters of {weight[0].numel()} weights, which "
            "stay close to the old ones; give more images for a better fit"
        )
    return fit


def _refit_dense(task: Task, name: str, layer: nn.Module, data: AlignedSample) -> None:
    sample, _, weight = data
    if not _convolves_with(layer, weight):
        return
    has_norm = name in task.following_norms
    new = refit(sample, weight, intercept=has_norm or layer.bias is not None)
    bias = (sample.mean_target - sample.outputs(sample.mean_window, new))[:, 0]
    parameter = layer.get_parameter("weight")
    parameter.copy_(new.view_as(parameter))
    if isinstance(layer.bias, nn.Parameter):
        layer.bias.copy_(bias)
    elif has_norm:
        task.shift_mean(name, bias)


def _convolves_with(layer: nn.Module, weight: Tensor) -> bool:
    """Whether ``weight`` is the layer's parameter itself, without weight standardization."""
    own = layer.get_parameter("weight")
    return own.numel() == weight.numel() and torch.equal(own.view_as(weight).float(), weight)


def _refittable(task: Task) -> list[str]:
    """Dense layers whose parameters no other layer shares."""
    owners = parameter_owners(task.original)
    return [
        name
        for name, module in task.original.named_modules()
        if name
        and name not in task.sites
        and (type(module) is nn.Linear or has_independent_filters(module))
        and not shares_parameters(module, owners)
    ]


def _positions(layer: nn.Module) -> int:
    """Positions to sample: more for more inputs, within about a second and 256 MB."""
    weight = layer.get_parameter("weight")
    inputs = weight[0].numel()
    window = getattr(layer, "groups", 1) * inputs
    affordable = min(_MAX_PRODUCTS / inputs**2, _MAX_SAMPLE_BYTES / (4 * window))
    least = _MIN_POSITIONS if window == inputs else _FEWEST_POSITIONS
    wanted = min(max(_POSITIONS_PER_INPUT * inputs, least), _MAX_POSITIONS)
    return int(max(min(wanted, affordable), _FEWEST_POSITIONS))


def _check_finite(targets: dict[str, Targets]) -> None:
    for name, seen in targets.items():
        if not all(call.values.isfinite().all() for call in seen.calls.values()):
            raise GhostifyError(
                f"{name} of the original gives NaN or infinite values on the calibration data; "
                "check that the data is scaled and normalized as the model expects"
            )
