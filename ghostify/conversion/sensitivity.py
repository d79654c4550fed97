"""Effect of replacing each layer alone on the network's output."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ghostify.analysis import analyze
from ghostify.analysis.dataflow import trace_dataflow
from ghostify.analysis.dry_run import materialize
from ghostify.analysis.model_copy import frozen_copy
from ghostify.analysis.preserve import exact_float32
from ghostify.conversion.channel_sensitivity import ChannelSensitivity, from_weights
from ghostify.conversion.init.assignment import assignments, total_error, weighted
from ghostify.conversion.init.fisher import first_images, fisher_importance, increase_by_error
from ghostify.conversion.init.input_moments import InputMoments
from ghostify.conversion.init.layer_moments import LayerMoments, add_moments, in_passes
from ghostify.conversion.init.output_moments import OutputMoments
from ghostify.conversion.init.pair_errors import pair_errors
from ghostify.conversion.init.weights import FilterMoments, filter_errors, norm_importance
from ghostify.evaluation.output_kinds import calibrate_on
from ghostify.io.progress import Report, progress_bar
from ghostify.models.identity import is_untrained, weights_digest
from ghostify.planning import CANDIDATES
from ghostify.planning.flops import count
from ghostify.types import (
    ConvSite,
    Example,
    GhostifyError,
    GhostSpec,
    Outputs,
    Sensitivity,
    WidthSensitivity,
)
from ghostify.types.model_source import describe_example
from ghostify.types.outputs import OutputsLike
from ghostify.types.progress import ShowProgress

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
    the network measures all layers; nothing is converted. Without data, both are estimated
    from filters and BatchNorms, as shares of the variance of the layer's outputs and of those of
    its readers.

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
        input=describe_example(example),
        weights=weights_digest(model),
        totals=totals,
        layers=layers,
        widths=widths,
    )


def check_measured_on(sensitivity: Sensitivity, model: nn.Module, example: Example) -> None:
    """Check that a sensitivity was measured on these weights and on inputs of these sizes.

    Untrained weights are not compared: a plan of them may be one for the trained ones.

    Raises:
        GhostifyError: if it was not.
    """
    found = describe_example(example)
    if sensitivity.input not in ("", found):
        raise GhostifyError(
            f"`sensitivity` was measured on {sensitivity.input}, not on {found}: measure it again"
        )
    if is_untrained(model) or not sensitivity.weights:
        return
    if sensitivity.weights != weights_digest(model):
        raise GhostifyError("`sensitivity` was measured of other weights: measure it again")


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
    layers = _layer_moments(model, sites, candidates)
    channels_of = {site.name: site.geometry.out_channels for site in sites}
    passes = in_passes(layers)
    steps, done = len(passes) * len(batches) + len(layers), 0
    report(done, steps, "Fisher information")
    fisher = fisher_importance(model, batches, list(layers), outputs)
    channels = ChannelSensitivity(model, sites, fisher)
    found = {}
    for names in passes:
        group = {name: layers.pop(name) for name in names}
        for _ in add_moments(model, batches, group):
            done += 1
            report(done, steps, "feature maps")
        for name in names:
            layer = group.pop(name)
            if layer.calls and layer.outputs:
                importance = increase_by_error(fisher.get(name), channels_of[name])
                errors = partial(_errors, layer)
                found[name] = _total_errors(errors, importance, candidates)
            if layer.calls and layer.inputs is not None:
                channels.add(name, layer.inputs.covariances())
            done += 1
            report(done, steps, name)
    return found, channels.found


def _errors(layer: LayerMoments, dw_size: int) -> tuple[Tensor, Tensor]:
    """Errors of outputs as ghosts of each other ``(n, n)``, and of their own filters, zeros."""
    moments = layer.outputs[dw_size]
    return pair_errors(moments, moments.variance, dw_size), torch.zeros_like(moments.variance)


def _layer_moments(
    model: nn.Module, sites: Sequence[ConvSite], candidates: tuple[GhostSpec, ...]
) -> dict[str, LayerMoments]:
    """Return empty moments of the outputs of replaceable layers, and of the inputs of readers."""
    found: dict[str, LayerMoments] = {}
    for site in _replaceable(sites, candidates):
        shape = site.geometry.out_channels, site.geometry.weights // site.geometry.out_channels
        sizes = dict.fromkeys(ghost.dw_size for ghost in candidates)
        found[site.name] = LayerMoments({size: OutputMoments(*shape, size) for size in sizes})
    for site in sites:
        for name in () if site.region is None else site.region.readers:
            inputs = model.get_submodule(name).get_parameter("weight")[0].numel()
            moments = InputMoments(inputs, site.geometry.out_channels)
            found.setdefault(name, LayerMoments()).inputs = moments
    return found


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
