"""``ghostify report``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import ghostify
from ghostify.cli.terminal import note, stage


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
) -> None:
    """Write a page about a conversion: one HTML file with all that has been measured so far.

    Example: ghostify report resnet50-ghost -o report.html
    """
    with stage("writing the page"):
        file = ghostify.report(folder, out)
    note(f"Written to {file}.")
