"""Effect of replacing each layer alone on the network's output."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ghostify.analysis import analyze
from ghostify.analysis.arguments import check_model
from ghostify.analysis.dataflow import trace_dataflow
from ghostify.analysis.dry_run import materialize
from ghostify.analysis.model_copy import frozen_copy
from ghostify.analysis.preserve import exact_float32
from ghostify.conversion.channel_sensitivity import ChannelSensitivity, from_weights, readers_of
from ghostify.conversion.init.aligned_sample import aligned_sample
from ghostify.conversion.init.assignment import assignments, total_error, weighted
from ghostify.conversion.init.fisher import first_images, fisher_importance, increase_by_error
from ghostify.conversion.init.ghost_fit import sample_errors
from ghostify.conversion.init.input_moments import input_covariances
from ghostify.conversion.init.layerwise import layerwise
from ghostify.conversion.init.targets import observe
from ghostify.conversion.init.weights import FilterMoments, filter_errors, norm_importance
from ghostify.evaluation.output_kinds import calibrate_on
from ghostify.io.progress import Report, progress_bar
from ghostify.planning import CANDIDATES
from ghostify.planning.flops import count
from ghostify.types import (
    ConvSite,
    Example,
    GhostSpec,
    Outputs,
    Sensitivity,
    WidthSensitivity,
)
from ghostify.types.outputs import OutputsLike
from ghostify.types.progress import ShowProgress

_POSITIONS = 4096
_MAX_IMAGES = 256


def sensitivity(
    model: nn.Module,
    example: Example,
    *,
    calibration: Any = None,
    outputs: OutputsLike = None,
    candidates: Iterable[GhostSpec] = CANDIDATES,
    progress: ShowProgress = True,
) -> Sensitivity:
    """Measure or estimate the effect of replacing each convolution, or of pruning it, alone.

    With calibration data, it is the Kullback-Leibler divergence of classes and labels in nats, or
    the relative squared error of values, to second order: half the sum over feature
    maps of Fisher information times the error. For a Ghost module that is the error of its feature
    maps after choosing intrinsic filters; for a number of channels, the error of the layers that
    read them, after these have made up for it (`conversion.init.channel_order`). One pass through
    the network measures all layers; nothing is converted. Without data, both are shares of the
    variance of the layer's outputs, and of those of its readers, as far as filters and BatchNorms
    tell.

    Args:
        model: the original.
        example: an input, as in `analyze`.
        calibration: images, as in `convert`; the first 256 are used.
        outputs: what the outputs are, as in `convert`.
        candidates: Ghost modules to try for each layer.
        progress: True shows a bar; a function is called with each `Progress`.

    Raises:
        GhostifyError: if the model does not run on the example or on the calibration data.
    """
    check_model(model)
    model = materialize(model, example)
    sites = analyze(model, example)
    candidates = tuple(candidates)
    costs = count(model, example)
    totals = {"macs": float(costs.conv_and_linear_macs), "params": float(costs.params)}
    if calibration is None:
        norms = trace_dataflow(model, example).following_norms()
        unit = "share of the filters"
        layers = _of_filters(model, norms, sites, candidates)
        widths = from_weights(model, sites, norms)
    else:
        with progress_bar("measuring", progress) as report:
            batches, found = calibrate_on(model, calibration, example, outputs)
            unit = "KL (nats)" if found.are_scores else "relative error"
            layers, widths = _on_data(model, batches, found, sites, candidates, report)
    return Sensitivity(
        unit=unit,
        measured=calibration is not None,
        totals=totals,
        layers=layers,
        widths=widths,
    )


@exact_float32()
@torch.no_grad()
def _on_data(
    model: nn.Module,
    batches: list[Example],
    outputs: Outputs,
    sites: Sequence[ConvSite],
    candidates: tuple[GhostSpec, ...],
    report: Report,
) -> tuple[dict[str, dict[GhostSpec, float]], dict[str, WidthSensitivity]]:
    model = frozen_copy(model)
    batches = first_images(batches, _MAX_IMAGES)
    replaceable = [site.name for site in _replaceable(sites, candidates)]
    readers = [name for names in readers_of(sites).values() for name in names]
    positions = dict.fromkeys(readers, 1) | dict.fromkeys(replaceable, _POSITIONS)
    report(0, len(positions), "the original's feature maps")
    targets = observe(model, batches, positions)
    fisher = fisher_importance(model, batches, list(positions), outputs)
    channels = ChannelSensitivity(model, sites, fisher)
    layers = {name: model.get_submodule(name) for name in targets}
    size = max((ghost.dw_size for ghost in candidates), default=1)
    found = {}
    with layerwise(model, batches, layers) as (runner, pending):
        for number, name in enumerate(layers, 1):
            seen = targets.pop(name)
            if name in replaceable:
                sample, weight = aligned_sample(runner, name, pending[name], seen, size)
                importance = increase_by_error(fisher.get(name), len(weight))
                errors = partial(sample_errors, sample, weight)
                found[name] = _total_errors(errors, importance, candidates)
            if name in channels.producers:
                arrivals = runner.arrivals(pending[name], seen.max_calls)
                width = channels.channels(name)
                inputs = input_covariances(name, pending[name], arrivals, len(batches), width)
                channels.add(name, inputs)
            pending[name].install(layers[name])
            report(number, len(pending), name)
    return found, channels.found


@torch.no_grad()
def _of_filters(
    model: nn.Module,
    norms: Mapping[str, str],
    sites: Sequence[ConvSite],
    candidates: tuple[GhostSpec, ...],
) -> dict[str, dict[GhostSpec, float]]:
    found = {}
    for site in _replaceable(sites, candidates):
        layer: Any = model.get_submodule(site.name)
        norm = model.get_submodule(norms[site.name]) if site.name in norms else None
        moments = FilterMoments.of(layer, 1)
        importance = norm_importance(moments, norm)
        total = (importance * moments.variance).sum().clamp_min(1e-30)
        errors = partial(filter_errors, moments)
        found[site.name] = _total_errors(errors, importance / total, candidates)
    return found


def _replaceable(sites: Sequence[ConvSite], candidates: tuple[GhostSpec, ...]) -> list[ConvSite]:
    """Return the sites at which candidates are tried."""
    return [site for site in sites if site.ineligible is None and candidates]


def _total_errors(
    errors: Callable[[int], tuple[Tensor, Tensor]],
    importance: Tensor,
    candidates: tuple[GhostSpec, ...],
) -> dict[GhostSpec, float]:
    """By candidate, the weighted error with the best choice of intrinsic filters."""
    found = {}
    for size in dict.fromkeys(ghost.dw_size for ghost in candidates):
        cost, alone = weighted(*errors(size), importance)
        tried = {g: g.intrinsic(len(alone)) for g in candidates if g.dw_size == size}
        tried = {ghost: intrinsic for ghost, intrinsic in tried.items() if intrinsic < len(alone)}
        for ghost, assignment in zip(tried, assignments(cost, alone, tried.values()), strict=True):
            found[ghost] = total_error(cost, alone, assignment)
    return found
