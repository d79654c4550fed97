"""``ghostify evaluate``"""

from __future__ import annotations

from pathlib import Path

import ghostify
from ghostify.cli import options
from ghostify.cli.context import (
    build_target,
    load_artifact,
    note_skipped,
    note_untrained,
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
    """Score a network on images it was not trained on: accuracy, and agreement with its original.

    The original of a folder has a row of its own if its weights are given: --weights, --pretrained,
    or a --model that loads them. Without labels it is needed.

    Example: ghostify evaluate resnet50-ghost --data imagenet --pretrained
    """
    if Path(target).is_dir():
        artifact, found = load_artifact(Path(target), original)
        data = open_data(found, source)
        evaluation = artifact.evaluate(data, device=device)
        if original.has_weights:
            note_untrained(found)
    else:
        found = build_target(target, original)
        data = open_data(found, source)
        evaluation = ghostify.evaluate_models(
            {"original": found.model}, data, example=found.example, device=device
        )
    note_skipped(data.skipped())
    print_document(evaluation.document(model=found.source.name), format)
    if Path(target).is_dir():
        after_scores(Path(target), evaluation, source, original)
    else:
        after_evaluate_model(target, source, original)
