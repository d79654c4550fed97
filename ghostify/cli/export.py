"""``ghostify export``"""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

import ghostify
from ghostify.cli import options
from ghostify.cli.terminal import note, stage
from ghostify.cli.workflow import network_or_artefact, remember
from ghostify.io.atomic import check_new


class To(StrEnum):
    """The forms, as `exporters.EXPORTERS` has them, for torch is not loaded yet."""

    onnx = "onnx"
    openvino = "openvino"
    torch_export = "torch-export"
    executorch = "executorch"


_ENDINGS = {To.onnx: ".onnx", To.openvino: ".xml", To.torch_export: ".pt2", To.executorch: ".pte"}


def export(
    target: options.ModelOrFolder,
    to: Annotated[
        To | None, typer.Option("--to", help="For which runtime. Default: by the file's ending.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FILE", help="What to write. Default: the name and an ending."
        ),
    ] = None,
    model: options.Original = None,
    weights: options.Weights = None,
    pretrained: options.Pretrained = False,
    input: options.Input = None,
    model_arg: options.ModelArgs = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Write a network for a runtime, and verify what was written.

    Example: ghostify export resnet50-ghost --to onnx
    """
    name = Path(target).name if Path(target).is_dir() else target.rpartition(":")[2]
    file = out or Path(f"{name}{_ENDINGS[to or To.onnx]}")
    check_new(file, force=force)
    subject = network_or_artefact(
        target, model=model, weights=weights, pretrained=pretrained, input=input,
        model_arg=model_arg,
    )  # fmt: skip
    with stage(f"exporting to {file}, and verifying"):
        exported = ghostify.export(subject.network, subject.example, file, to=to, force=force)
    if exported.note:
        note(exported.note)
    print(exported)
    found = asdict(exported) | {"path": file.name}
    remember(target, "export", found, part=exported.to)
