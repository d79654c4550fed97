"""``ghostify benchmark``"""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

import typer

import ghostify
from ghostify import GhostifyError
from ghostify.cli import options
from ghostify.cli.options import Format
from ghostify.cli.workflow import (
    network_or_artefact,
    original_of,
    prepare,
    print_document,
    remember,
)
from ghostify.io.atomic import check_parent, write_text
from ghostify.report.formats import format_of
from ghostify.report.plots import check_plot
from ghostify.report.plots.timing import plot_timing


def benchmark(
    target: options.ModelOrFolder,
    against: Annotated[
        str | None,
        typer.Option(
            "--against",
            metavar="MODEL_OR_DIR",
            help="What to compare with. Default: the original of a folder.",
        ),
    ] = None,
    runtime: Annotated[
        str,
        typer.Option(
            "--runtime",
            metavar="NAMES",
            help="Of eager, compile, onnxruntime, openvino, executorch; with commas between.",
        ),
    ] = "eager",
    batch: Annotated[
        str, typer.Option("--batch", metavar="NUMBERS", help="Inputs in one run, such as 1,8.")
    ] = "1",
    threads: Annotated[
        str, typer.Option("--threads", metavar="NUMBERS", help="Of the runtime, such as 1,2.")
    ] = "1",
    seconds: Annotated[
        float,
        typer.Option(
            "--seconds", min=0, help="For the rounds of each runtime, batch and number of threads."
        ),
    ] = 10.0,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FILE", help="Also write it: .txt, .json, .csv or .md."
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="FILE", help="Draw the speed-ups: .png or .svg."),
    ] = None,
    model: options.Original = None,
    input: options.Input = None,
    model_arg: options.ModelArgs = None,
    format: options.FormatOption = Format.table,
) -> None:
    """Time a network beside another one, in turns: by default a conversion beside its original.

    Example: ghostify benchmark resnet50-ghost --runtime eager,onnxruntime --threads 1,2
    """
    for file in filter(None, (out, plot)):
        check_parent(file)
    write_form = out and format_of(out.suffix)
    if plot is not None:
        check_plot(plot)
    batches, numbers = _numbers("batch", batch), _numbers("threads", threads)
    runtimes = [name.strip() for name in runtime.split(",")]
    said: dict[str, Any] = {"input": input, "model_arg": model_arg}
    subject = network_or_artefact(target, model=model, **said)
    if against is not None:
        of_folder = model if Path(against).is_dir() else None
        other = network_or_artefact(against, model=of_folder, **said)
    elif Path(target).is_dir():
        other = prepare(original_of(Path(target), model, input, model_arg))
    else:
        other = None
    models = {_name(target): subject.network}
    if other is not None:
        name = other.source.name if against is None else _name(against)
        if name in models:
            raise GhostifyError(f"{name} stands on both sides: there is nothing to compare")
        models = {name: other.network} | models
    timing = ghostify.benchmark(
        models,
        subject.example,
        runtimes=runtimes,
        batches=batches,
        threads=numbers,
        seconds=seconds,
    )
    document = timing.document()
    print_document(document, format)
    if against is None:
        for (name, size, number), found in groupby(
            timing.measurements, lambda m: (m.runtime, m.batch, m.threads)
        ):
            part = replace(timing, measurements=tuple(found))
            remember(target, "timing", part.to_dict(), part=f"{name}-b{size}-t{number}")
    if out and write_form:
        write_text(out, write_form(document))
    if plot is not None:
        plot_timing(timing, plot)


def _name(target: str) -> str:
    return Path(target).name if Path(target).is_dir() else target


def _numbers(option: str, text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise GhostifyError(f"--{option} {text!r}: numbers look like 1,8") from error
