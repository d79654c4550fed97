"""Plan a conversion: measure what the plan needs, then plan the sites."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from torch import nn

from ghostify.analysis import analyze
from ghostify.analysis.arguments import check_model
from ghostify.analysis.dry_run import materialize
from ghostify.conversion.sensitivity import check_measured_on
from ghostify.conversion.sensitivity import sensitivity as measure_sensitivity
from ghostify.deployment.layer_latency import layer_latency
from ghostify.planning.budget import Budgets
from ghostify.planning.plan import plan_sites
from ghostify.planning.rules import Patterns
from ghostify.types import (
    ConvSite,
    Example,
    GhostifyError,
    GhostSpec,
    LayerLatencies,
    Plan,
    Sensitivity,
)
from ghostify.types.outputs import OutputsLike
from ghostify.types.progress import ShowProgress


def plan(
    model: nn.Module | Iterable[ConvSite],
    example: Example | None = None,
    *,
    ratio: float | None = None,
    dw_size: int | None = None,
    include: Patterns = (),
    exclude: Patterns = (),
    stem: bool = False,
    all_eligible: bool = False,
    budget: Budgets | None = None,
    prune: bool = True,
    sensitivity: Sensitivity | None = None,
    calibration: Any = None,
    outputs: OutputsLike = None,
    runtime: str | None = None,
    threads: int = 1,
    latencies: LayerLatencies | None = None,
    candidates: Iterable[GhostSpec] | None = None,
    totals: Mapping[str, float] | None = None,
    progress: ShowProgress = True,
) -> Plan:
    """Choose for each convolution of a model a Ghost module, or none, and its number of channels.

    Without a budget the plan is uniform: one ratio and one kernel size wherever a Ghost module can
    replace a convolution and has fewer weights. With a budget, each site becomes one of the
    candidates or stays dense, and may lose output channels if the layers that read these can make
    up for them (`ConvSite.region`).
    The sum of sensitivities is minimized within the budget, to a fraction of a percent.

    A pattern is a glob such as ``layer1.*`` or ``Bottleneck``. It matches a convolution by its
    qualified name, by its type, or by the name or type of a module around it.

    Args:
        model: the model, or what `analyze` found in it. Sites alone suffice if nothing has to be
            measured.
        example: an input of the model, as in `analyze`.
        ratio: ghost ratio s of the uniform plan, above 1. Default: 2.
        dw_size: kernel size d of the cheap operation in the uniform plan, odd. Default: 3.
        include: replace only what matches one of these patterns.
        exclude: keep what matches one of these patterns.
        stem: also replace the first convolution. A budget may prune it in any case.
        all_eligible: also replace where a Ghost module has no fewer weights than the convolution,
            and on 1x1 feature maps.
        budget: upper limits for the network: ``"macs=0.5"`` (a share of the original's),
            ``"params=4M"``, several of these, or ``{"macs": 0.5, "params": "4M"}``. Costs are
            ``macs``, ``params``, ``activations`` (bytes), and ``latency`` (ms) with ``runtime``.
        prune: whether a budget may drop output channels. If not, it chooses Ghost modules alone.
        sensitivity: what `ghostify.sensitivity` returned. Default: measured if there is a budget.
        calibration: images to measure the sensitivity on, as in `convert`. Default: it is
            estimated from the weights.
        outputs: what the outputs are, as in `convert`; for ``calibration``.
        runtime: time each layer in this runtime, and keep what would not be faster there.
        threads: threads of the runtime.
        latencies: what `layer_latency` returned, instead of ``runtime``.
        candidates: Ghost modules to choose among within a budget; none to drop channels alone.
            Default: those that the sensitivity covers.
        totals: costs of the whole network, such as ``{"macs": 4.1e9}``, if the sensitivity does
            not know them. Default: the sum over all convolutions.
        progress: whether to show progress bars, or a function that is called with each `Progress`.

    Raises:
        GhostifyError: if a number is out of range, a pattern matches nothing, no plan is within
            the budget, or an argument does not fit the others.
    """
    sites: Iterable[ConvSite]
    if isinstance(model, nn.Module):
        if example is None:
            raise GhostifyError("plan needs `example`, an input of the model")
        model = materialize(model, example)
        ghost = GhostSpec(ratio or GhostSpec.ratio, dw_size or GhostSpec.dw_size)
        if runtime is not None:
            latencies = layer_latency(
                model,
                example,
                runtime=runtime,
                threads=threads,
                candidates=candidates if budget else [ghost],
                prune=prune and budget is not None,
                progress=progress,
            )
        if budget is not None and sensitivity is None:
            sensitivity = measure_sensitivity(
                model, example, calibration=calibration, outputs=outputs, progress=progress
            )
        elif sensitivity is not None:
            check_measured_on(sensitivity, model, example)
        sites = analyze(model, example)
    else:
        sites = tuple(model) if isinstance(model, Iterable) else (model,)
        if not all(isinstance(site, ConvSite) for site in sites):
            check_model(model)
        if runtime is not None or calibration is not None:
            raise GhostifyError("`runtime` and `calibration` need a model to measure: pass `model`")
    return plan_sites(
        sites,
        ratio=ratio,
        dw_size=dw_size,
        include=include,
        exclude=exclude,
        stem=stem,
        all_eligible=all_eligible,
        budget=budget,
        prune=prune,
        candidates=candidates,
        sensitivity=sensitivity,
        totals=totals,
        latencies=latencies,
    )
