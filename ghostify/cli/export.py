"""``ghostify export``"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import ghostify
from ghostify import GhostifyError
from ghostify.cli import completion, options
from ghostify.cli.context import (
    build_target,
    load_artifact,
    note_outputs,
    read_calibration,
    short_name,
)
from ghostify.cli.next_step import after_export
from ghostify.cli.settings import option
from ghostify.cli.terminal import note, results, stage
from ghostify.io.atomic import check_new

if TYPE_CHECKING:
    from ghostify.deployment import Exported


def export(
    target: options.ModelOrFolder,
    original: options.OriginalOptions,
    source: options.ImageOptions,
    to: str | None = option(
        None, metavar="FORMAT", autocompletion=completion.fixed(*completion.FORMATS)
    ),
    out: Path | None = option(None, None, "-o", metavar="FILE"),
    force: bool = option(False),
    int8: bool = option(False),
    max_divergence: float | None = option(None, min=0, metavar="NATS"),
) -> None:
    """Write a network for a runtime, and verify what was written.

    Example: ghostify export resnet50-ghost --to onnx

    Options:
        to: onnx, openvino, torch-export or executorch. Default: by the file's ending, or onnx.
        out: File to write. Default: named like resnet50.onnx or resnet50-int8.onnx.
        force: Replace an existing file.
        int8: Quantize to INT8 for onnx or openvino, with --calibration images.
        max_divergence: Largest KL divergence of INT8 from the network on held-out images; of
            values, the relative squared error. Above it, nothing is written. Default: 0.3, of
            values 0.05.
    """
    folder = Path(target) if Path(target).is_dir() else None
    name = folder.name if folder else short_name(target)
    with stage("loading torch"):
        from ghostify.deployment import EXPORTERS, exporter_for
        from ghostify.deployment.int8 import check_int8
    known = EXPORTERS.get(to or "onnx")
    file = out or Path(f"{name}{'-int8' * int8}{known.ending if known else ''}")
    found, _ = exporter_for(file, to)
    check_int8(found, source.calibration, source.outputs, max_divergence, int8=int8)
    check_new(file, force=force)
    if folder:
        if original.weights or original.pretrained:
            raise GhostifyError(f"{target} has its weights: drop --weights and --pretrained")
        artifact, context = load_artifact(folder, original)
        write: Callable[..., Exported] = artifact.export
    else:
        context = build_target(target, original)
        write = partial(ghostify.export, context.model, context.example)
    exported = write(
        file,
        to=to,
        int8=int8,
        calibration=read_calibration(context, source),
        outputs=source.outputs,
        max_divergence=max_divergence,
        force=force,
    )
    if exported.note:
        note(exported.note)
    if exported.outputs:
        note_outputs(exported.outputs)
    print(exported, file=results())
    after_export(target, exported)
