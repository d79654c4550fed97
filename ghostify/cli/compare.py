"""``ghostify compare``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import ghostify
from ghostify import GhostifyError
from ghostify.cli import options
from ghostify.cli.options import Format
from ghostify.cli.scoring import is_original_known
from ghostify.cli.terminal import stage
from ghostify.cli.workflow import original_of, prepare, print_document, read_calibration, remember


def compare(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A folder that ghostify convert has made.")
    ],
    model: options.Original = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="PATH",
            help="Compare the outputs on these images: a folder, or a file with one tensor. The "
            "original needs its weights: --weights or --pretrained.",
        ),
    ] = None,
    images: options.Images = 256,
    weights: options.Weights = None,
    pretrained: options.Pretrained = False,
    input: options.Input = None,
    normalize: options.Normalize = None,
    model_arg: options.ModelArgs = None,
    format: options.FormatOption = Format.table,
) -> None:
    """Print the report of a saved conversion again, and how much it has kept.

    Example: ghostify compare resnet50-ghost --data photographs --pretrained
    """
    if data is not None and not is_original_known(weights, pretrained, model):
        raise GhostifyError("--data needs the original's weights: add --weights or --pretrained")
    source = original_of(folder, model, input, model_arg, normalize)
    subject = prepare(source, weights=weights, pretrained=pretrained)
    with stage(f"loading {folder}"):
        ghost = ghostify.load(folder, subject.network)
    found = read_calibration(subject, data, images) if data else None
    with stage("comparing"):
        report = ghostify.compare(
            subject.network, ghost, subject.example, name=source.name, data=found
        )
    print_document(report.document(), format)
    remember(folder, "costs", report.costs())
