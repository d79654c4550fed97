"""``ghostify convert``"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

import ghostify
from ghostify import GhostifyError, GhostSpec, Plan
from ghostify.cli import completion, options
from ghostify.cli.context import (
    build,
    note_outputs,
    plan_arguments,
    read,
    read_calibration,
    short_name,
)
from ghostify.cli.next_step import after_convert, command_line
from ghostify.cli.options import Format, is_given
from ghostify.cli.settings import option
from ghostify.cli.terminal import interruptible, note, print_document, stage
from ghostify.io.atomic import check_parent, check_target, write_text
from ghostify.report.formats import format_of
from ghostify.report.html import check_page
from ghostify.types import Outputs

_PLANNING = ("ratio", "dw_size", "include", "exclude", "stem", "all_eligible", "budget",
             "prune", "runtime", "threads")  # fmt: skip


def convert(
    context: typer.Context,
    model: options.ModelName,
    planning: options.PlanOptions,
    calibration: options.CalibrationOptions,
    building: options.ModelOptions,
    out: Path | None = option(None, None, "-o", metavar="DIR"),
    force: bool = option(False),
    dry_run: bool = option(False),
    plan: Path | None = option(None, metavar="FILE"),
    init: str | None = option(
        None, metavar="NAME", autocompletion=completion.fixed(*completion.INITIALIZERS)
    ),
    finetune_steps: int = option(0, min=0),
    report: Path | None = option(None, metavar="FILE"),
    format: options.FormatOption = Format.table,
) -> None:
    """Replace convolutions with Ghost modules, drop channels, and report what that saves.

    Example: ghostify convert resnet50 --ratio 2 --dw-size 3 --out resnet50-ghost

    Options:
        out: Where to save. Default: MODEL-ghost.
        force: Replace an existing artifact.
        dry_run: Save nothing.
        plan: Convert by this plan, from ghostify plan.
        init: What Ghost modules start from: calibrated, weights or random. Default: calibrated with
            --calibration, weights for a trained network without.
        finetune_steps: With --calibration: gradient steps for each layer after its fit. 40 to 100
            keep a little more.
        report: Also write the report: .html (a page), .txt, .json, .csv or .md.
    """
    GhostSpec(planning.ratio, planning.dw_size)
    page = report is not None and report.suffix == ".html"
    if page and dry_run:
        raise GhostifyError("a page is made from what was saved: drop --dry-run")
    if page:
        check_page()
    write_form = format_of(report.suffix, others=[".html"]) if report and not page else None
    if plan is None:
        arguments = _plan_arguments(context, planning)
    else:
        arguments = {"plan": _given_plan(context, plan)}
    if init == "calibrated" and calibration.calibration is None:
        raise GhostifyError("--init calibrated needs --calibration with some images")
    default = "calibrated" if calibration.calibration else None
    if finetune_steps and (init or default) != "calibrated":
        raise GhostifyError("--finetune-steps follow a fit to --calibration: add it")
    target = out or Path(f"{short_name(model)}-ghost")
    if report:
        check_parent(report)
    if not dry_run:
        check_target(target, force=force)
    found = build(model, building, calibration.device)
    ghost = ghostify.convert(
        found.model,
        found.example,
        init=init,
        calibration=read_calibration(found, calibration),
        outputs=calibration.outputs,
        finetune_steps=finetune_steps,
        **arguments,
    )
    from ghostify.models.identity import is_untrained

    if outputs := Outputs.find(ghost):
        note_outputs(outputs)
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
    with interruptible("nothing was saved" if dry_run else f"{target} is saved"):
        print_document(document, format)
        if report and write_form:
            write_text(report, write_form(document))
        elif report:
            artifact.write_report(report)
    if not dry_run:
        note(f"Saved to {target}.")
        after_convert(
            target,
            found.source,
            compared,
            trained=not is_untrained(found.model),
            calibration=calibration.calibration,
            planning=planning,
        )


def _plan_arguments(context: typer.Context, planning: options.PlanOptions) -> dict[str, Any]:
    arguments = plan_arguments(planning)
    arguments |= {"runtime": planning.runtime, "threads": planning.threads}
    if not planning.budget:
        return arguments | {"ratio": planning.ratio, "dw_size": planning.dw_size}
    if is_given(context, "ratio", "dw_size"):
        raise GhostifyError("--budget chooses ratio and kernel itself: drop --ratio and --dw-size")
    return arguments


def _given_plan(context: typer.Context, file: Path) -> Plan:
    for name in (*_PLANNING, "sensitivity"):
        if is_given(context, name):
            option = "no-prune" if name == "prune" else name.replace("_", "-")
            raise GhostifyError(f"--plan already decides what --{option} would: drop one")
    return read(Plan, file)


def _chosen(context: typer.Context) -> dict[str, Any]:
    """Return the options that a plan was made by, and the whole command, as the user wrote them."""
    chosen = {name: context.params[name] for name in _PLANNING if is_given(context, name)}
    return chosen | {"command": command_line()}
