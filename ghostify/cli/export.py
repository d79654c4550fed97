"""``ghostify export``"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

import ghostify
from ghostify import GhostifyError
from ghostify.cli import options
from ghostify.cli.context import build_target, open_artifact
from ghostify.cli.terminal import note, stage
from ghostify.io.atomic import check_new


class To(StrEnum):
    """The formats, named here so that --help need not wait for torch."""

    onnx = "onnx"
    openvino = "openvino"
    torch_export = "torch-export"
    executorch = "executorch"


_ENDINGS = {To.onnx: ".onnx", To.openvino: ".xml", To.torch_export: ".pt2", To.executorch: ".pte"}


def export(
    target: options.ModelOrFolder,
    original: options.OriginalOptions,
    to: Annotated[
        To | None, typer.Option("--to", help="Format. Default: by the file's ending.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FILE", help="File to write. Default: the name and an ending."
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """Write a network for a runtime, and verify what was written.

    Example: ghostify export resnet50-ghost --to onnx
    """
    folder = Path(target) if Path(target).is_dir() else None
    name = folder.name if folder else target.rpartition(":")[2]
    file = out or Path(f"{name}{_ENDINGS[to or To.onnx]}")
    check_new(file, force=force)
    if folder:
        if original.weights or original.pretrained:
            raise GhostifyError(f"{target} has its weights: drop --weights and --pretrained")
        artifact, _ = open_artifact(folder, original)
        with stage(f"exporting to {file}, and verifying"):
            exported = artifact.export(file, to=to, force=force)
    else:
        found = build_target(target, original)
        with stage(f"exporting to {file}, and verifying"):
            exported = ghostify.export(found.model, found.example, file, to=to, force=force)
    if exported.note:
        note(exported.note)
    print(exported)
