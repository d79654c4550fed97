"""``ghostify export``"""

from __future__ import annotations

from pathlib import Path

import ghostify
from ghostify import GhostifyError
from ghostify.cli import completion, options
from ghostify.cli.context import build_target, load_artifact
from ghostify.cli.settings import option
from ghostify.cli.terminal import note, stage
from ghostify.io.atomic import check_new


def export(
    target: options.ModelOrFolder,
    original: options.OriginalOptions,
    to: str | None = option(
        None, metavar="FORMAT", autocompletion=completion.fixed(*completion.FORMATS)
    ),
    out: Path | None = option(None, None, "-o", metavar="FILE"),
    force: bool = option(False),
) -> None:
    """Write a network for a runtime, and verify what was written.

    Example: ghostify export resnet50-ghost --to onnx

    Options:
        to: onnx, openvino, torch-export or executorch. Default: by the file's ending, or onnx.
        out: File to write. Default: the name and an ending.
        force: Replace an existing file.
    """
    folder = Path(target) if Path(target).is_dir() else None
    name = folder.name if folder else target.rpartition(":")[2]
    with stage("loading torch"):
        from ghostify.deployment import EXPORTERS, exporter_for
    known = EXPORTERS.get(to or "onnx")
    file = out or Path(f"{name}{known.ending if known else ''}")
    exporter_for(file, to)
    check_new(file, force=force)
    if folder:
        if original.weights or original.pretrained:
            raise GhostifyError(f"{target} has its weights: drop --weights and --pretrained")
        artifact, _ = load_artifact(folder, original)
        with stage(f"exporting to {file}, and verifying"):
            exported = artifact.export(file, to=to, force=force)
    else:
        found = build_target(target, original)
        with stage(f"exporting to {file}, and verifying"):
            exported = ghostify.export(found.model, found.example, file, to=to, force=force)
    if exported.note:
        note(exported.note)
    print(exported)
