"""``ghostify convert``"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

import ghostify
from ghostify import GhostifyError, GhostSpec, Plan, PlanCandidate, Sensitivity
from ghostify.cli import options
from ghostify.cli.options import Format, check_budget, is_given
from ghostify.cli.terminal import note, stage
from ghostify.cli.workflow import (
    make_plan,
    prepare,
    print_document,
    read_calibration,
    read_noun,
    remember,
    remember_measured,
)
from ghostify.io.atomic import check_parent, check_target, write_text
from ghostify.report.formats import format_of
from ghostify.report.html import check_page

_PLANNING = ("ratio", "kernel", "include", "exclude", "stem", "all_eligible", "budget",
             "runtime", "threads")  # fmt: skip


class Init(StrEnum):
    """The initializers, so that --help need not wait for torch."""

    random = "random"
    weights = "weights"
    calibrated = "calibrated"


def convert(
    context: typer.Context,
    model: options.ModelName,
    ratio: options.Ratio = GhostSpec.ratio,
    kernel: options.Kernel = GhostSpec.dw_size,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="DIR", help="Where to save. Default: MODEL-ghost."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace an artifact that is there already.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Save nothing.")] = False,
    budget: options.Budget = None,
    runtime: options.PlanRuntime = None,
    threads: options.PlanThreads = 1,
    sensitivity: options.SensitivityFile = None,
    calibration: options.Calibration = None,
    images: options.Images = 256,
    init: Annotated[
        Init | None,
        typer.Option(
            "--init",
            help="What Ghost modules are filled with. Default: calibrated with --calibration, "
            "weights for a trained network without.",
        ),
    ] = None,
    finetune_steps: Annotated[
        int,
        typer.Option(
            "--finetune-steps",
            min=0,
            help="With --calibration: gradient steps for each layer after its fit; 40 to 100 keep "
            "a little more.",
        ),
    ] = 0,
    plan_file: Annotated[
        Path | None,
        typer.Option("--plan", metavar="FILE", help="Do what this plan says, from ghostify plan."),
    ] = None,
    include: options.Include = None,
    exclude: options.Exclude = None,
    stem: options.Stem = False,
    all_eligible: options.AllEligible = False,
    input: options.Input = None,
    normalize: options.Normalize = None,
    model_arg: options.ModelArgs = None,
    weights: options.Weights = None,
    pretrained: options.Pretrained = False,
    format: options.FormatOption = Format.table,
    report_file: Annotated[
        Path | None,
        typer.Option(
            "--report",
            metavar="FILE",
            help="Also write the report: .html (a page), .txt, .json, .csv or .md.",
        ),
    ] = None,
) -> None:
    """Replace a network's convolutions by Ghost modules and report what that saves.

    Example: ghostify convert resnet50 --ratio 2 --kernel 3 --out resnet50-ghost
    """
    spec = GhostSpec(ratio, kernel)
    source = options.source_of(model, input, model_arg, normalize)
    page = report_file is not None and report_file.suffix == ".html"
    if page and dry_run:
        raise GhostifyError("a page is made from what was saved: drop --dry-run")
    if page:
        check_page()
    write_form = format_of(report_file.suffix) if report_file and not page else None
    given = _given_plan(context, plan_file)
    check_budget(context, budget)
    if init is Init.calibrated and calibration is None:
        raise GhostifyError("--init calibrated needs --calibration with some images")
    if finetune_steps and init is not Init.calibrated and (init or calibration is None):
        raise GhostifyError("--finetune-steps follow a fit to --calibration: add it")
    if sensitivity is not None and not budget:
        raise GhostifyError("--sensitivity is for --budget: add one")
    target = out or Path(f"{_short_name(model)}-ghost")
    if report_file:
        check_parent(report_file)
    if not dry_run:
        check_target(target, force=force)
    subject = prepare(source, weights=weights, pretrained=pretrained)
    data = read_calibration(subject, calibration, images) if calibration else None
    measured: list[Sensitivity | PlanCandidate] = []
    plan = given or make_plan(
        subject,
        spec,
        budget,
        include=include,
        exclude=exclude,
        stem=stem,
        all_eligible=all_eligible,
        runtime=runtime,
        threads=threads,
        images=data,
        sensitivity_file=sensitivity,
        remembered=measured.append,
    )
    ghost = ghostify.convert(
        subject.network,
        subject.example,
        plan=plan,
        init=init and init.value,
        calibration=data,
        finetune_steps=finetune_steps,
    )
    with stage("counting"):
        report = ghostify.compare(subject.network, ghost, subject.example, name=model)
        document = report.document()
    if not dry_run:
        with stage(f"saving {target}"):
            ghostify.save(
                ghost, target, source=subject.source, options=_chosen(context), force=force
            )
        remember(target, "costs", report.costs())
        for found in measured:
            remember_measured(target, found)
    print_document(document, format)
    if report_file and write_form:
        write_text(report_file, write_form(document))
    elif report_file:
        ghostify.write_report(target, report_file)
    if not dry_run:
        note(f"Saved to {target}.")


def _given_plan(context: typer.Context, file: Path | None) -> Plan | None:
    if file is None:
        return None
    for name in _PLANNING:
        if is_given(context, name):
            option = name.replace("_", "-")
            raise GhostifyError(f"--plan already decides what --{option} would: drop one")
    return read_noun(Plan, file)


def _chosen(context: typer.Context) -> dict[str, Any]:
    """The options that a plan was made by, as the user wrote them."""
    return {name: context.params[name] for name in _PLANNING if is_given(context, name)}


def _short_name(model: str) -> str:
    """``resnet50`` of ``timm:resnet50``, ``build`` of ``net.py:build``."""
    return model.rpartition(":")[2]
