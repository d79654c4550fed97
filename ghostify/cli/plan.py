"""``ghostify plan``"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ghostify import GhostifyError, GhostSpec
from ghostify.cli import options
from ghostify.cli.options import check_budget
from ghostify.cli.terminal import note
from ghostify.cli.workflow import (
    make_plan,
    original_or_named,
    prepare,
    read_calibration,
    remember_measured,
)
from ghostify.io.atomic import check_parent, write_text


def plan(
    context: typer.Context,
    target: options.ModelOrFolder,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="Where to write. Default: stdout."),
    ] = None,
    ratio: options.Ratio = GhostSpec.ratio,
    kernel: options.Kernel = GhostSpec.dw_size,
    include: options.Include = None,
    exclude: options.Exclude = None,
    stem: options.Stem = False,
    all_eligible: options.AllEligible = False,
    budget: options.Budget = None,
    runtime: options.PlanRuntime = None,
    threads: options.PlanThreads = 1,
    sensitivity: options.SensitivityFile = None,
    calibration: options.Calibration = None,
    images: options.Images = 256,
    try_out: Annotated[
        bool,
        typer.Option(
            "--try",
            help="With --budget and --calibration: convert by several plans, and take the one "
            "that agrees most with the original on images held out.",
        ),
    ] = False,
    model: options.Original = None,
    weights: options.Weights = None,
    pretrained: options.Pretrained = False,
    input: options.Input = None,
    normalize: options.Normalize = None,
    model_arg: options.ModelArgs = None,
) -> None:
    """Write what convert would do as JSON, to be edited and given to convert --plan.

    Examples: ghostify plan resnet50 --ratio 2 -o plan.json;
    ghostify plan resnet50 --pretrained --calibration photographs --budget macs=0.5 -o plan.json
    """
    spec = GhostSpec(ratio, kernel)
    if out is not None:
        check_parent(out)
    check_budget(context, budget)
    if try_out and not (budget and calibration):
        raise GhostifyError("--try needs --budget and --calibration")
    if not budget and (calibration or sensitivity):
        raise GhostifyError("--calibration and --sensitivity are for a --budget: add one")
    source = original_or_named(
        target, model=model, input=input, model_arg=model_arg, normalize=normalize
    )
    subject = prepare(source, weights=weights, pretrained=pretrained)
    data = read_calibration(subject, calibration, images) if calibration else None
    made = make_plan(
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
        try_out=try_out,
        remembered=partial(remember_measured, target),
    )
    if out is None:
        print(made.to_json(), end="")
        return
    write_text(out, made.to_json())
    replaced, total = len(made.replaced), len(made.decisions)
    note(f"{out}: {replaced} of {total} convolutions to be replaced.")
