"""``ghostify report``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import ghostify
from ghostify.cli import options
from ghostify.cli.terminal import note, stage
from ghostify.cli.workflow import original_of, prepare, read_calibration
from ghostify.io.measurements import record
from ghostify.report.html import check_page


def report(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A folder that ghostify convert has made.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FILE", help="What to write. Default: report.html in the folder."
        ),
    ] = None,
    image: Annotated[
        Path | None,
        typer.Option(
            "--image",
            metavar="FILE",
            help="Also show what some layers make of this image; beside the original's maps where "
            "its weights are given.",
        ),
    ] = None,
    plots: Annotated[
        Path | None,
        typer.Option("--plots", metavar="DIR", help="Also draw the charts there, PNG and SVG."),
    ] = None,
    model: options.Original = None,
    weights: options.Weights = None,
    pretrained: options.Pretrained = False,
    input: options.Input = None,
    normalize: options.Normalize = None,
    model_arg: options.ModelArgs = None,
) -> None:
    """Write a page about a conversion: one HTML file with all that has been measured so far.

    Example: ghostify report resnet50-ghost -o report.html
    """
    check_page(plots=plots is not None)
    if image is not None:
        source = original_of(folder, model, input, model_arg, normalize)
        subject = prepare(source, weights=weights, pretrained=pretrained)
        with stage(f"loading {folder}"):
            from ghostify.report.html.feature_maps import feature_map_images

            ghost = ghostify.load(folder, subject.network)
        (picture,) = read_calibration(subject, image, 1)
        with stage("running the image"):
            original = subject.network if weights is not None or pretrained else None
            record(folder, "feature-maps", feature_map_images(ghost, picture, original))
    with stage("writing the page"):
        file = ghostify.write_report(folder, out, plots=plots)
    note(f"Written to {file}.")
