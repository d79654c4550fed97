"""``ghostify plan`` and ``ghostify search``"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

import ghostify
from ghostify import GhostifyError, GhostSpec, Plan
from ghostify.cli import options
from ghostify.cli.context import build_target, open_artifact, plan_arguments, read_calibration
from ghostify.cli.options import is_given
from ghostify.cli.settings import option
from ghostify.cli.terminal import interruptible, note
from ghostify.io.atomic import check_parent


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
    if planning.budget and planning.sensitivity is None and Path(target).is_dir():
        artifact, found = open_artifact(Path(target), original)
        images = read_calibration(found, calibration)
        arguments["sensitivity"] = artifact.sensitivity(calibration=images)
    else:
        found = build_target(target, original)
        arguments["calibration"] = read_calibration(found, calibration)
    _write(ghostify.plan(found.model, found.example, **arguments), out)


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
    arguments: dict[str, Any] = plan_arguments(planning)
    if out is not None:
        check_parent(out)
    if Path(target).is_dir():
        artifact, found = open_artifact(Path(target), original)
        images = read_calibration(found, calibration)
        if arguments["sensitivity"] is None:
            arguments["sensitivity"] = artifact.sensitivity(calibration=images)
        with interruptible(f"{target} remembers the plans that were compared; none was written"):
            found_plan = artifact.search(calibration=images, **arguments)
        _write(found_plan, out)
    else:
        found = build_target(target, original)
        images = read_calibration(found, calibration)
        _write(ghostify.search(found.model, found.example, calibration=images, **arguments), out)


def _write(made: Plan, out: Path | None) -> None:
    if out is None:
        print(made.to_json(), end="")
        return
    made.save(out)
    replaced, total = len(made.replaced), len(made.decisions)
    note(f"{out}: {replaced} of {total} convolutions to be replaced.")
