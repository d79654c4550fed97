"""``ghostify sensitivity``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import ghostify
from ghostify.cli import options
from ghostify.cli.options import Format
from ghostify.cli.terminal import note, stage
from ghostify.cli.workflow import (
    original_or_named,
    prepare,
    print_document,
    read_calibration,
    remember,
)
from ghostify.io.atomic import check_parent, write_text


def sensitivity(
    target: options.ModelOrFolder,
    calibration: options.Calibration = None,
    images: options.Images = 256,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FILE", help="Keep the measurements, for plan --sensitivity."
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="FILE", help="Draw them: .png or .svg."),
    ] = None,
    model: options.Original = None,
    weights: options.Weights = None,
    pretrained: options.Pretrained = False,
    input: options.Input = None,
    normalize: options.Normalize = None,
    model_arg: options.ModelArgs = None,
    format: options.FormatOption = Format.table,
) -> None:
    """Show what replacing each layer alone would do to the output, and what it would save.

    Example: ghostify sensitivity resnet50 --pretrained --calibration photographs -o resnet50.json
    """
    for file in filter(None, (out, plot)):
        check_parent(file)
    if plot is not None:
        from ghostify.report.plots import check_plot

        check_plot(plot)
    source = original_or_named(
        target, model=model, input=input, model_arg=model_arg, normalize=normalize
    )
    subject = prepare(source, weights=weights, pretrained=pretrained)
    data = read_calibration(subject, calibration, images) if calibration else None
    measured = ghostify.sensitivity(subject.network, subject.example, calibration=data)
    with stage("counting"):
        from ghostify.report.plots.sensitivity import plot_sensitivity
        from ghostify.report.tables.sensitivity import list_sensitivity

        sites = ghostify.analyze(subject.network, subject.example)
    remember(target, "sensitivity", measured.to_dict())
    if out is not None:
        write_text(out, measured.to_json())
        note(f"Kept in {out}: ghostify plan {target} --budget macs=0.5 --sensitivity {out}")
    if plot is not None:
        plot_sensitivity(measured, sites, plot, title=source.name)
    print_document(list_sensitivity(measured, sites, model=source.name), format)
