"""``ghostify convert``"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

import ghostify
from ghostify import GhostifyError, GhostSpec, Plan
from ghostify.cli import options
from ghostify.cli.context import build, plan_arguments, read, read_calibration
from ghostify.cli.options import Format, is_given
from ghostify.cli.terminal import note, print_document, stage
from ghostify.io.atomic import check_parent, check_target, write_text
from ghostify.report.formats import format_of
from ghostify.report.html import check_page

_PLANNING = ("ratio", "dw_size", "include", "exclude", "stem", "all_eligible", "budget",
             "runtime", "threads")  # fmt: skip


class Init(StrEnum):
    """The initializers, named here so that --help need not wait for torch."""

    random = "random"
    weights = "weights"
    calibrated = "calibrated"


def convert(
    context: typer.Context,
    model: options.ModelName,
    planning: options.PlanOptions,
    calibration: options.CalibrationOptions,
    building: options.ModelOptions,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="DIR", help="Where to save. Default: MODEL-ghost."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace an artifact that is there already.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Save nothing.")] = False,
    plan: Annotated[
        Path | None,
        typer.Option("--plan", metavar="FILE", help="Convert by this plan, from ghostify plan."),
    ] = None,
    init: Annotated[
        Init | None,
        typer.Option(
            "--init",
            help="What Ghost modules start from. Default: calibrated with --calibration, weights "
            "for a trained network without.",
        ),
    ] = None,
    finetune_steps: Annotated[
        int,
        typer.Option(
            "--finetune-steps",
            min=0,
            help="With --calibration: gradient steps for each layer after its fit. 40 to 100 keep "
            "a little more.",
        ),
    ] = 0,
    report: Annotated[
        Path | None,
        typer.Option(
            "--report",
            metavar="FILE",
            help="Also write the report: .html (a page), .txt, .json, .csv or .md.",
        ),
    ] = None,
    format: options.FormatOption = Format.table,
) -> None:
    """Replace a network's convolutions by Ghost modules and report what that saves.

    Example: ghostify convert resnet50 --ratio 2 --dw-size 3 --out resnet50-ghost
    """
    GhostSpec(planning.ratio, planning.dw_size)
    page = report is not None and report.suffix == ".html"
    if page and dry_run:
        raise GhostifyError("a page is made from what was saved: drop --dry-run")
    if page:
        check_page()
    write_form = format_of(report.suffix) if report and not page else None
    arguments: dict[str, Any] = (
        _plan_arguments(context, planning) if plan is None else {"plan": _given_plan(context, plan)}
    )
    if init is Init.calibrated and calibration.calibration is None:
        raise GhostifyError("--init calibrated needs --calibration with some images")
    calibrated = init is Init.calibrated or (init is None and calibration.calibration is not None)
    if finetune_steps and not calibrated:
        raise GhostifyError("--finetune-steps follow a fit to --calibration: add it")
    target = out or Path(f"{_short_name(model)}-ghost")
    if report:
        check_parent(report)
    if not dry_run:
        check_target(target, force=force)
    found = build(model, building)
    ghost = ghostify.convert(
        found.model,
        found.example,
        init=init and init.value,
        calibration=read_calibration(found, calibration),
        finetune_steps=finetune_steps,
        **arguments,
    )
    with stage("counting"):
        compared = ghostify.compare(found.model, ghost, found.example, name=model)
        document = compared.document()
    if not dry_run:
        with stage(f"saving {target}"):
            artifact = ghostify.save(
                ghost,
                target,
                original=found.model,
                example=found.example,
                source=found.source,
                options=_chosen(context),
                force=force,
            )
            artifact.remember("costs", compared.costs())
    print_document(document, format)
    if report and write_form:
        write_text(report, write_form(document))
    elif report:
        artifact.write_report(report)
    if not dry_run:
        note(f"Saved to {target}.")


def _plan_arguments(context: typer.Context, planning: options.PlanOptions) -> dict[str, Any]:
    arguments = plan_arguments(planning)
    if not planning.budget:
        return arguments | {"ratio": planning.ratio, "dw_size": planning.dw_size}
    if is_given(context, "ratio", "dw_size"):
        raise GhostifyError("--budget chooses ratio and kernel itself: drop --ratio and --dw-size")
    return arguments


def _given_plan(context: typer.Context, file: Path) -> Plan:
    for name in (*_PLANNING, "sensitivity"):
        if is_given(context, name):
            option = name.replace("_", "-")
            raise GhostifyError(f"--plan already decides what --{option} would: drop one")
    return read(Plan, file)


def _chosen(context: typer.Context) -> dict[str, Any]:
    """Return the options that a plan was made by, as the user wrote them."""
    return {name: context.params[name] for name in _PLANNING if is_given(context, name)}


def _short_name(model: str) -> str:
    """Return ``resnet50`` of ``timm:resnet50``, ``build`` of ``net.py:build``."""
    return model.rpartition(":")[2]
