"""``ghostify convert``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import ghostify
from ghostify import GhostifyError, GhostSpec, Plan
from ghostify.cli import options
from ghostify.cli.options import Format
from ghostify.cli.terminal import note, stage
from ghostify.cli.workflow import prepare, print_document, read_plan, uniform_plan
from ghostify.files import check_parent, check_target, write_text
from ghostify.reporting.formats import format_of

_PLANNING = ("ratio", "kernel", "include", "exclude", "stem", "all_eligible")


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
        bool, typer.Option("--force", help="Replace an artefact that is there already.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Save nothing.")] = False,
    plan_file: Annotated[
        Path | None,
        typer.Option("--plan", metavar="FILE", help="Do what this plan says, from ghostify plan."),
    ] = None,
    include: options.Include = None,
    exclude: options.Exclude = None,
    stem: options.Stem = False,
    all_eligible: options.AllEligible = False,
    input: options.Input = None,
    model_arg: options.ModelArgs = None,
    weights: options.Weights = None,
    pretrained: options.Pretrained = False,
    format: options.FormatOption = Format.table,
    report_file: Annotated[
        Path | None,
        typer.Option(
            "--report", metavar="FILE", help="Also write the report: .txt, .json, .csv or .md."
        ),
    ] = None,
) -> None:
    """Replace a network's convolutions by Ghost modules and report what that saves.

    Example: ghostify convert resnet50 --ratio 2 --kernel 3 --out resnet50-ghost
    """
    spec = GhostSpec(ratio, kernel)
    source = options.source_of(model, input, model_arg)
    write_form = format_of(report_file.suffix) if report_file else None
    given = _given_plan(context, plan_file)
    target = out or Path(f"{_short_name(model)}-ghost")
    if report_file:
        check_parent(report_file)
    if not dry_run:
        check_target(target, force=force)
    subject = prepare(source, weights=weights, pretrained=pretrained)
    with stage("planning"):
        plan = given or uniform_plan(
            subject, spec, include, exclude, stem=stem, all_eligible=all_eligible
        )
    with stage("converting"):
        ghost = ghostify.convert(subject.network, subject.example, plan=plan)
    with stage("counting"):
        document = ghostify.compare(subject.network, ghost, subject.example, name=model).document()
    if not dry_run:
        with stage(f"saving {target}"):
            ghostify.save(ghost, target, source=subject.source, force=force)
    print_document(document, format)
    if report_file and write_form:
        write_text(report_file, write_form(document))
    if not dry_run:
        note(f"Saved to {target}. Its cheap kernels are random: train it before use.")


def _given_plan(context: typer.Context, file: Path | None) -> Plan | None:
    if file is None:
        return None
    for name in _PLANNING:
        given = context.get_parameter_source(name)
        if given is not None and given.name == "COMMANDLINE":
            option = name.replace("_", "-")
            raise GhostifyError(f"--plan already decides what --{option} would: drop one")
    return read_plan(file)


def _short_name(model: str) -> str:
    """``resnet50`` of ``timm:resnet50``, ``build`` of ``net.py:build``."""
    return model.rpartition(":")[2]
