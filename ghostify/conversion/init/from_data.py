"""Layer after layer: what the original gave, made from what the converted network now sees."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ghostify.analysis.conv_filters import has_independent_filters
from ghostify.conversion.init.finetune import polish
from ghostify.conversion.init.fisher import floored, images_for_importance, importance
from ghostify.conversion.init.ghost_fit import Fit, fit_to_sample
from ghostify.conversion.init.layerwise import LayerwiseRunner, PendingLayer, exchange
from ghostify.conversion.init.patches import Sample
from ghostify.conversion.init.ridge import refit
from ghostify.conversion.init.targets import Targets, aligned_sample, observe, own_maps
from ghostify.conversion.init.task import Task
from ghostify.data import images_in
from ghostify.nn import GhostModule
from ghostify.types import Example, GhostifyError

RIDGE = 1e-2
"""How strongly a refit holds on to the old weights, relative to the mean square of an input."""

_POSITIONS = 16384
_PRODUCTS = 1.5e11
_SAMPLE_BYTES = 2**28


@torch.no_grad()
def from_data(task: Task) -> dict[str, float]:
    """Fit site by site in the order of execution, with few images and no labels.

    Inputs come from the network as converted so far, targets from the original. All filters of a
    site are refitted by ridge regression, which undoes what the sites before have changed; the
    intrinsic ones are chosen and the ghosts matched to them by the errors of all pairs; each map
    counts by what it does to the output. Layers that stay dense are refitted as well, and the last
    layer before a residual sum makes up for what its other term lacks.

    Returns:
        by site, the residual error on the calibration data over the variance of its maps.
    """
    dense = _refittable(task)
    ghosts = {site: task.ghost(site) for site in task.sites}
    wanted = {name: _positions(task.original.get_submodule(name), None) for name in dense}
    for site, ghost in ghosts.items():
        wanted[site] = _positions(task.original.get_submodule(site), ghost.dw_size)
    task.report(0, len(wanted), "the original's feature maps")
    terms = {name: task.followers.get(name) for name in task.last_terms}
    targets = observe(task.original, task.batches, wanted, terms)
    _check_finite(targets)
    counts = importance(
        task.original, first_images(task.batches, images_for_importance(task.batches)), task.sites
    )
    names = _from_first_site(list(targets), task.sites)
    modules = {name: task.converted.get_submodule(name) for name in names}
    pending = {
        name: PendingLayer(
            task.original.get_submodule(name), is_term=name in terms and targets[name].calls == 1
        )
        for name in names
    }
    exchange(task.converted, {modules[name]: pending[name] for name in names})
    residuals = {}
    try:
        with LayerwiseRunner(task.converted, task.batches) as lockstep:
            for number, name in enumerate(names, 1):
                module, seen = modules[name], targets.pop(name)
                if isinstance(module, GhostModule):
                    sample, weight = aligned_sample(
                        lockstep, name, pending[name], seen, module.dw_size
                    )
                    fitted = _fill_ghost(task, name, module, sample, weight, counts.get(name))
                    residuals[name] = fitted.residual
                elif seen.calls == 1:
                    _refit_dense(
                        task, name, module, *aligned_sample(lockstep, name, pending[name], seen)
                    )
                pending[name].install(module)
                error = f", error {residuals[name]:.2%}" if name in residuals else ""
                task.report(number, len(names), f"{name}{error}")
    finally:
        exchange(task.converted, {pending[name]: modules[name] for name in names})
    return residuals


def _fill_ghost(
    task: Task,
    name: str,
    ghost: GhostModule,
    sample: Sample,
    weight: Tensor,
    counts: Tensor | None,
) -> Fit:
    layer = task.original.get_submodule(name)
    own = layer.get_parameter("weight")
    as_is = own.shape == weight.shape and torch.equal(own.float(), weight)
    if as_is:
        weight = refit(sample, weight, RIDGE)
    if counts is None:
        counts = 1 / sample.targets.var(0, correction=0).clamp_min(1e-20).to(weight)
    fitted = fit_to_sample(
        sample,
        weight,
        floored(counts),
        ghost.primary_conv[0].out_channels,  # type: ignore[arg-type]
        bias_in_maps=name not in task.followers or layer.bias is not None,
    )
    if task.finetune_steps and as_is:
        polish(fitted, sample, task.finetune_steps)
    constants = fitted.write(ghost, layer, refitted=as_is)
    if constants is not None:
        task.move_mean(name, constants)
    if len(sample) < weight[0].numel() // 2:
        task.notes.append(
            f"{name}: {len(sample)} positions for filters of {weight[0].numel()} weights, held "
            "close to the old ones; more images would keep more"
        )
    return fitted


def _refit_dense(task: Task, name: str, layer: nn.Module, sample: Sample, weight: Tensor) -> None:
    own = layer.get_parameter("weight")
    if not torch.equal(own.view_as(weight).float(), weight):
        return  # standardised: the layer's weight is not the one it convolves with
    follower = name in task.followers
    new = refit(sample, weight, RIDGE, intercept=follower or layer.bias is not None)
    missing = torch.zeros(len(new), dtype=torch.float64, device=new.device)
    for windows, _, targets in sample.chunks():
        missing += (targets - own_maps(sample, windows, new)).sum(0, dtype=torch.float64)
    missing /= len(sample)
    own.copy_(new.view_as(own))
    if isinstance(layer.bias, nn.Parameter):
        layer.bias.copy_(missing)
    elif follower:
        task.move_mean(name, missing)


def _refittable(task: Task) -> list[str]:
    """Layers that stay, and whose weights may follow what has changed before them."""
    owners = Counter(
        id(p) for module in task.original.modules() for p in module.parameters(recurse=False)
    )
    return [
        name
        for name, module in task.original.named_modules()
        if name
        and name not in task.sites
        and (type(module) is nn.Linear or has_independent_filters(module))
        and all(owners[id(p)] == 1 for p in module.parameters(recurse=False))
    ]


def _positions(layer: nn.Module, dw_size: int | None) -> int:
    """So many that no layer takes longer than some seconds, or room for more than 256 MB."""
    weight = layer.get_parameter("weight")
    products = weight[0].numel() ** 2 + (0 if dw_size is None else (dw_size * len(weight)) ** 2)
    window = weight[0].numel()
    if isinstance(layer, nn.Conv2d):
        reach = (dw_size or 1) - 1
        steps = zip(layer.kernel_size, layer.stride, strict=True)
        sides = [side + reach * (stride if side > 1 else 1) for side, stride in steps]
        window = layer.in_channels * math.prod(sides)
    most = min(_PRODUCTS / products, _SAMPLE_BYTES / (4 * window))
    return int(min(_POSITIONS, max(most, 2048)))


def _from_first_site(names: list[str], sites: Sequence[str]) -> list[str]:
    """Nothing changes before the first site."""
    first = next((index for index, name in enumerate(names) if name in sites), len(names))
    return names[first:]


def first_images(batches: Sequence[Example], number: int) -> list[Example]:
    """About so many images, from the beginning."""
    chosen, images = [], 0
    for batch in batches:
        if images >= number:
            break
        if isinstance(batch, Tensor):
            batch = batch[: number - images]
        chosen.append(batch)
        images += images_in(batch)
    return chosen


def _check_finite(targets: dict[str, Targets]) -> None:
    for name, seen in targets.items():
        if not all(bool(values.isfinite().all()) for _, values in seen.samples.values()):
            raise GhostifyError(
                f"on the calibration data, {name} of the original gives values that are not "
                "finite: is the data scaled and normalised as the model expects?"
            )
