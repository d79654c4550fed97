"""``ghostify evaluate``"""

from __future__ import annotations

from pathlib import Path

import ghostify
from ghostify.cli import options
from ghostify.cli.context import (
    build_target,
    load_artifact,
    note_skipped,
    open_data,
)
from ghostify.cli.next_step import after_evaluate_model, after_scores
from ghostify.cli.options import Format
from ghostify.cli.terminal import print_document


def evaluate(
    target: options.ModelOrFolder,
    source: options.DataOptions,
    original: options.OriginalOptions,
    device: options.Device = None,
    format: options.FormatOption = Format.table,
) -> None:
    """Score a network: accuracy, and agreement with its original.

    Of a source without a validation part, all images are scored; or a tenth, if the network was
    calibrated or trained on others.

    The original of a folder has a row of its own if its weights are where they were when it was
    converted, or are given by --weights. Without labels they are needed.

    Example: ghostify evaluate resnet50-ghost --data imagenet
    """
    if Path(target).is_dir():
        artifact, found = load_artifact(Path(target), original)
        data = open_data(found, source, scored=artifact.model)
        evaluation = artifact.evaluate(data, outputs=source.outputs, device=device)
    else:
        found = build_target(target, original)
        data = open_data(found, source, scored=found.model)
        evaluation = ghostify.evaluate_models(
            {"original": found.model},
            data,
            example=found.example,
            outputs=source.outputs,
            device=device,
        )
    note_skipped(data.skipped())
    print_document(evaluation.document(model=found.source.name), format)
    if Path(target).is_dir():
        after_scores(Path(target), evaluation, source, original)
    else:
        after_evaluate_model(target, source, original)
