"""What replacing each layer alone would do to the output."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from ghostify.analysis import analyze
from ghostify.analysis.arguments import check_model
from ghostify.analysis.dataflow import trace_dataflow
from ghostify.analysis.dry_run import dry_run, materialize
from ghostify.analysis.model_copy import frozen_copy
from ghostify.conversion.init.fisher import floored, importance
from ghostify.conversion.init.from_data import first_images
from ghostify.conversion.init.from_weights import filter_moments, map_importance
from ghostify.conversion.init.ghost_fit import sample_errors
from ghostify.conversion.init.layerwise import LayerwiseRunner, PendingLayer, exchange
from ghostify.conversion.init.matching import choose, total_error
from ghostify.conversion.init.pair_errors import pair_errors
from ghostify.conversion.init.targets import aligned_sample, observe
from ghostify.data import as_batches
from ghostify.io.progress import Report, progress_bar
from ghostify.planning import CANDIDATES
from ghostify.planning.flops import count
from ghostify.types import ConvSite, Example, GhostSpec, Sensitivity
from ghostify.types.progress import ShowProgress

_POSITIONS = 4096
_IMAGES = 256


def sensitivity(
    model: nn.Module,
    example: Example,
    *,
    calibration: Any = None,
    candidates: Iterable[GhostSpec] = CANDIDATES,
    progress: ShowProgress = True,
) -> Sensitivity:
    """The damage of each site's replacement alone, by each of the candidates.

    With calibration data it is the Kullback-Leibler divergence of the outputs in nats (for outputs
    that are no logits, their relative squared error), to second order: half the sum over maps of
    the Fisher information times the error that is left after choosing and matching. One pass
    through the network measures all sites; nothing is converted. Without data it is the error of
    the filters over their norm, each map by what its batch norm makes of it.

    Args:
        model: the original.
        example: an input, as in `analyze`.
        calibration: some images, as in `convert`.
        candidates: Ghost modules to try at each site.
        progress: whether to show a bar, or a function that is called with each `Progress`.

    Raises:
        GhostifyError: as `analyze` does, and if the data does not fit the model.
    """
    check_model(model)
    model = materialize(model, example)
    sites = [site for site in analyze(model, example) if site.ineligible is None]
    candidates = tuple(candidates)
    costs = count(model, example)
    totals = {"macs": float(costs.conv_and_linear_macs), "params": float(costs.params)}
    if calibration is None:
        unit, damages = "share of the filters", _in_filters(model, example, sites, candidates)
    else:
        unit = "KL (nats)"
        with progress_bar("measuring", progress) as report:
            batches = as_batches(calibration, example)
            damages = _on_data(model, batches, sites, candidates, report)
    return Sensitivity(damages, unit, calibration is not None, totals)


@torch.no_grad()
def _on_data(
    model: nn.Module,
    batches: list[Example],
    sites: list[ConvSite],
    candidates: tuple[GhostSpec, ...],
    report: Report,
) -> dict[str, dict[GhostSpec, float]]:
    dry_run(model, batches[0])  # images may be of another size than the example
    twin = frozen_copy(model)
    batches = first_images(batches, _IMAGES)
    names = [site.name for site in sites]
    report(0, len(names), "the original's feature maps")
    targets = observe(twin, batches, dict.fromkeys(names, _POSITIONS))
    counts = importance(twin, batches, names)
    layers = {name: twin.get_submodule(name) for name in targets}
    pending = {name: PendingLayer(layer) for name, layer in layers.items()}
    exchange(twin, {layers[name]: pending[name] for name in targets})
    size = max((ghost.dw_size for ghost in candidates), default=1)
    damages = {}
    with LayerwiseRunner(twin, batches) as lockstep:
        for number, name in enumerate(list(targets), 1):
            sample, weight = aligned_sample(lockstep, name, pending[name], targets.pop(name), size)
            weighted = counts.get(name, torch.ones(len(weight))) / 2
            damages[name] = _damages(
                lambda d, s=sample, w=weight: sample_errors(s.narrowed(d), w),
                floored(weighted) * weighted.mean(),
                candidates,
            )
            pending[name].install(layers[name])
            report(number, len(pending), name)
    return damages


@torch.no_grad()
def _in_filters(
    model: nn.Module, example: Example, sites: list[ConvSite], candidates: tuple[GhostSpec, ...]
) -> dict[str, dict[GhostSpec, float]]:
    norms = trace_dataflow(model, example).following_norms()
    damages = {}
    for site in sites:
        layer: Any = model.get_submodule(site.name)
        norm = model.get_submodule(norms[site.name]) if site.name in norms else None

        def errors(dw_size: int, layer: Any = layer) -> tuple[Tensor, Tensor]:
            moments = filter_moments(layer, dw_size)
            variance = moments.weight.flatten(1).square().sum(1)
            return pair_errors(moments, variance, dw_size), torch.zeros_like(variance)

        weight = filter_moments(layer, 1).weight
        counts = map_importance(weight, norm)
        scale = (counts * weight.flatten(1).square().sum(1)).sum()
        damages[site.name] = _damages(errors, counts / scale.clamp_min(1e-30), candidates)
    return damages


def _damages(
    errors: Any, counts: Tensor, candidates: tuple[GhostSpec, ...]
) -> dict[GhostSpec, float]:
    """For each candidate the sum of weighted errors under the best choice of intrinsic maps."""
    found = {}
    for size in dict.fromkeys(ghost.dw_size for ghost in candidates):
        cost, own = errors(size)
        weighted = (cost * counts.to(cost)).double().cpu().numpy()
        alone = (own * counts.to(own)).double().cpu().numpy()
        for ghost in candidates:
            intrinsic = ghost.intrinsic(len(alone))
            if ghost.dw_size == size and intrinsic < len(alone):
                found[ghost] = total_error(weighted, alone, choose(weighted, alone, intrinsic))
    return found
