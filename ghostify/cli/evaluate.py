"""``ghostify evaluate``"""

from __future__ import annotations

from pathlib import Path

import ghostify
from ghostify.cli import options
from ghostify.cli.options import Format
from ghostify.cli.scoring import (
    device_named,
    is_original_known,
    open_for,
    remembered_with,
    scored,
    stage_of,
    tell_untrained,
)
from ghostify.cli.terminal import stage
from ghostify.cli.workflow import original_or_named, prepare, print_document, tell_skipped


def evaluate(
    target: options.ModelOrFolder,
    data: options.DataSource,
    data_root: options.DataRoot = None,
    batch_size: options.BatchSize = 32,
    workers: options.Workers = 0,
    held_out: options.HeldOut = 0.1,
    no_labels: options.NoLabels = False,
    device: options.Device = None,
    model: options.Original = None,
    weights: options.Weights = None,
    pretrained: options.Pretrained = False,
    input: options.Input = None,
    normalize: options.Normalize = None,
    model_arg: options.ModelArgs = None,
    format: options.FormatOption = Format.table,
) -> None:
    """Score a network on images it was not trained on: accuracy, and agreement with its original.

    The original of a folder has a row of its own where its weights are given: --weights,
    --pretrained, or a --model that loads them. Without labels it is needed.

    Example: ghostify evaluate resnet50-ghost --data imagenet --pretrained
    """
    source = original_or_named(
        target, model=model, input=input, model_arg=model_arg, normalize=normalize
    )
    subject = prepare(source, weights=weights, pretrained=pretrained)
    networks, teacher = {"original": subject.network}, None
    if Path(target).is_dir():
        with stage(f"loading {target}"):
            ghost = ghostify.load(target, subject.network)
        if is_original_known(weights, pretrained, model):
            teacher = subject.network
        else:
            networks = {}
        networks[stage_of(Path(target))] = ghost
    opened = open_for(
        subject,
        data,
        root=data_root,
        batch_size=batch_size,
        workers=workers,
        held_out=held_out,
        labels=not no_labels,
    )
    found = scored(networks, opened, subject.example, teacher=teacher, device=device_named(device))
    tell_skipped(opened.skipped())
    if teacher is not None:
        tell_untrained(subject)
    if Path(target).is_dir():
        found = remembered_with(Path(target), found)
    print_document(found.document(source.name), format)
