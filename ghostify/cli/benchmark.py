"""``ghostify benchmark``"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ghostify
from ghostify import GhostifyError
from ghostify.cli import completion, options
from ghostify.cli.context import build, build_target, load_artifact
from ghostify.cli.next_step import after_benchmark
from ghostify.cli.options import Format, OriginalOptions
from ghostify.cli.settings import option
from ghostify.cli.terminal import print_document
from ghostify.io.atomic import check_parent, write_text
from ghostify.report.formats import format_of
from ghostify.report.plots import check_plot, plot_timing

if TYPE_CHECKING:
    from torch import nn


def benchmark(
    target: options.ModelOrFolder,
    original: options.OriginalOptions,
    against: str | None = option(
        None, metavar="MODEL_OR_DIR", autocompletion=completion.models_or_artifacts
    ),
    runtime: str = option(
        "eager", metavar="NAMES", autocompletion=completion.listed(*completion.RUNTIMES)
    ),
    batch: str = option("1", metavar="NUMBERS"),
    threads: str = option("1", metavar="NUMBERS"),
    seconds: float = option(10.0, min=0),
    device: str = option("cpu", metavar="NAME"),
    out: Path | None = option(None, None, "-o", metavar="FILE"),
    plot: Path | None = option(None, metavar="FILE"),
    format: options.FormatOption = Format.table,
) -> None:
    """Time two networks, interleaved: by default a conversion and its original.

    Example: ghostify benchmark resnet50-ghost --runtime eager,onnxruntime --threads 1,2

    Options:
        against: What to compare with. Default: the original of a folder.
        runtime: Comma-separated runtimes: eager, compile, onnxruntime, openvino, executorch,
            onnxruntime-int8, openvino-int8.
        batch: Comma-separated batch sizes, such as 1,8.
        threads: Comma-separated numbers of threads, such as 1,2.
        seconds: Time for each runtime, batch size and number of threads.
        device: Where eager and compile run, such as cuda. The other runtimes use the CPU.
        out: Also write it: .txt, .json, .csv or .md.
        plot: Draw the speed-ups: .png or .svg.
    """
    for file in filter(None, (out, plot)):
        check_parent(file)
    write_form = out and format_of(out.suffix)
    if plot is not None:
        check_plot(plot)
    batches, numbers = _numbers("batch", batch), _numbers("threads", threads)
    runtimes = [name.strip() for name in runtime.split(",")]
    settings: dict[str, Any] = {
        "runtime": runtimes,
        "batch": batches,
        "threads": numbers,
        "seconds": seconds,
    }
    if Path(target).is_dir():
        artifact, _ = load_artifact(Path(target), original, device)
        other = None if against is None else _other(against, original, device)
        timing = artifact.benchmark(against=other, **settings)
    else:
        found = build_target(target, original, device)
        models = {target: found.model}
        if against is not None:
            models = _other(against, original, device) | models
            if len(models) == 1:
                raise GhostifyError(f"{target} stands on both sides: there is nothing to compare")
        timing = ghostify.benchmark(models, found.example, **settings)
    document = timing.document()
    print_document(document, format)
    if out and write_form:
        write_text(out, write_form(document))
    if plot is not None:
        plot_timing(timing, plot)
    if against is None:
        after_benchmark(target, timing, original)


def _other(against: str, original: OriginalOptions, device: str) -> dict[str, nn.Module]:
    """Build the network to compare with, by its name."""
    if Path(against).is_dir():
        artifact, _ = load_artifact(Path(against), original, device)
        return {artifact.name: artifact.model}
    return {against: build(against, replace(original, model=None), device).model}


def _numbers(option: str, text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise GhostifyError(f"--{option} {text!r}: numbers look like 1,8") from error
