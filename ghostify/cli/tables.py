"""``ghostify tables``"""

from __future__ import annotations

from typing import Annotated

import typer

from ghostify.cli.options import Format, FormatOption
from ghostify.cli.terminal import layer_progress, stage
from ghostify.cli.workflow import print_document


def tables(
    name: Annotated[
        str | None,
        typer.Argument(
            help="vgg16-kernel, vgg16-ratio, cifar10, resnet50, imagenet or coco. Default: all.",
        ),
    ] = None,
    format: FormatOption = Format.table,
) -> None:
    """Count the networks of the GhostNet papers again, beside what the papers print.

    Example: ghostify tables vgg16-ratio
    """
    with stage("loading torch"):
        from ghostify.papers import NAMES, read_table, recount
        from ghostify.reporting.papers import list_papers
    chosen = [read_table(each) for each in ([name] if name else NAMES)]
    with layer_progress("counting") as progress:
        recounts = recount(chosen, progress)
    print_document(list_papers(chosen, recounts), format)
