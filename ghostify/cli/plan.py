"""``ghostify plan``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ghostify import GhostSpec
from ghostify.cli import options
from ghostify.cli.terminal import note, stage
from ghostify.cli.workflow import prepare, uniform_plan
from ghostify.files import check_parent, write_text


def plan(
    model: options.ModelName,
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
    input: options.Input = None,
    model_arg: options.ModelArgs = None,
) -> None:
    """Write what convert would do as JSON, to be edited and given to convert --plan.

    Example: ghostify plan resnet50 --ratio 2 -o plan.json
    """
    spec = GhostSpec(ratio, kernel)
    if out is not None:
        check_parent(out)
    subject = prepare(options.source_of(model, input, model_arg))
    with stage("planning"):
        made = uniform_plan(subject, spec, include, exclude, stem=stem, all_eligible=all_eligible)
    if out is None:
        print(made.to_json(), end="")
        return
    write_text(out, made.to_json())
    replaced, total = len(made.replaced), len(made.decisions)
    note(f"{out}: {replaced} of {total} convolutions to be replaced.")
