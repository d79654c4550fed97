"""``ghostify plan`` and ``ghostify search``"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

import ghostify
from ghostify import GhostifyError, GhostSpec, Plan
from ghostify.cli import options
from ghostify.cli.context import (
    ModelContext,
    measure_sensitivity,
    open_target,
    plan_arguments,
    read_calibration,
)
from ghostify.cli.next_step import after_plan
from ghostify.cli.options import SiteOptions, is_given
from ghostify.cli.settings import option
from ghostify.cli.terminal import interruptible, results, show
from ghostify.io.atomic import check_parent
from ghostify.types import LayerLatencies, PlanCandidate


def plan(
    context: typer.Context,
    target: options.ModelOrFolder,
    planning: options.PlanOptions,
    calibration: options.CalibrationOptions,
    original: options.OriginalOptions,
    out: Path | None = option(None, None, "-o", metavar="FILE"),
) -> None:
    """Write what convert would do as JSON, to be edited and given to convert --plan.

    Examples: ghostify plan resnet50 --ratio 2 -o plan.json;
    ghostify plan resnet50 --pretrained --calibration photographs --budget macs=0.5 -o plan.json

    Options:
        out: Where to write. Default: stdout.
    """
    spec = GhostSpec(planning.ratio, planning.dw_size)
    arguments = plan_arguments(planning)
    if not planning.budget:
        if calibration.calibration:
            raise GhostifyError("--calibration is for a --budget: add one")
        arguments |= {"ratio": spec.ratio, "dw_size": spec.dw_size}
    elif is_given(context, "ratio", "dw_size"):
        raise GhostifyError("--budget chooses ratio and kernel itself: drop --ratio and --dw-size")
    if out is not None:
        check_parent(out)
    found, artifact = open_target(target, original, calibration.device)
    images = read_calibration(found, calibration)
    if planning.budget and arguments["sensitivity"] is None:
        arguments["sensitivity"] = measure_sensitivity(found, artifact, images, calibration.outputs)
    arguments["latencies"] = _latencies(found, planning, None if planning.budget else [spec])
    made = ghostify.plan(found.model, found.example, **arguments)
    _write(made, found, out, arguments)
    after_plan(out, target, original, calibration.calibration)


def search(
    target: options.ModelOrFolder,
    planning: options.SiteOptions,
    calibration: options.CalibrationOptions,
    original: options.OriginalOptions,
    out: Path | None = option(None, None, "-o", metavar="FILE"),
) -> None:
    """Convert by several plans within a budget, and write the one that agrees most.

    Example: ghostify search resnet50 --pretrained --calibration photographs --budget macs=0.5
    -o plan.json

    Options:
        out: Where to write. Default: stdout.
    """
    if not (planning.budget and calibration.calibration):
        raise GhostifyError("search needs --budget and --calibration")
    arguments = plan_arguments(planning)
    if out is not None:
        check_parent(out)
    found, artifact = open_target(target, original, calibration.device)
    images = read_calibration(found, calibration)
    if arguments["sensitivity"] is None:
        arguments["sensitivity"] = measure_sensitivity(found, artifact, images, calibration.outputs)
    arguments["latencies"] = _latencies(found, planning, None)
    compared: list[PlanCandidate] = []
    options = arguments | {"calibration": images, "on_candidate": compared.append}
    options["outputs"] = calibration.outputs
    if artifact is None:
        made = ghostify.search(found.model, found.example, **options)
    else:
        with interruptible(f"{target} remembers the plans that were compared; none was written"):
            made = artifact.search(**options)
    _write(made, found, out, arguments, compared)
    after_plan(out, target, original, calibration.calibration)


def _latencies(
    found: ModelContext, planning: SiteOptions, candidates: list[GhostSpec] | None
) -> LayerLatencies | None:
    if planning.runtime is None:
        return None
    from ghostify.deployment.layer_latency import layer_latency

    return layer_latency(
        found.model,
        found.example,
        runtime=planning.runtime,
        threads=planning.threads,
        candidates=candidates,
        prune=planning.prune and bool(planning.budget),
    )


def _write(
    made: Plan,
    found: ModelContext,
    out: Path | None,
    arguments: Mapping[str, Any],
    compared: Sequence[PlanCandidate] = (),
) -> None:
    """Write a plan to a file or to stdout, and show what it decides."""
    from ghostify.report.plan_table import list_plan

    if out is None:
        print(made.to_json(), end="", flush=True, file=results())
    else:
        made.save(out)
    document = list_plan(
        made,
        model=found.source.name,
        sensitivity=arguments["sensitivity"],
        latencies=arguments["latencies"],
        compared=compared,
    )
    show(document, stderr=out is None)
