"""``ghostify calibrate``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import ghostify
from ghostify import Augmentation, Evaluation
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
from ghostify.cli.terminal import note, stage
from ghostify.cli.workflow import original_of, prepare, print_document, tell_skipped


def calibrate(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A folder that ghostify convert has made.")
    ],
    data: options.DataSource,
    batches: Annotated[
        int | None, typer.Option("--batches", min=1, help="How many to use. Default: all.")
    ] = None,
    keep_worse: Annotated[
        bool, typer.Option("--keep-worse", help="Save it even if it scores worse than before.")
    ] = False,
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
    """Estimate a converted network's batch norms again, and save it if it is no worse for that.

    It helps a network that was not fitted (--init weights); after a fit to --calibration it usually
    does harm.
    Without labels the original's weights are needed to tell: --weights, --pretrained, or a
    --model that loads them.

    Example: ghostify calibrate resnet50-ghost --data imagenet --batches 50
    """
    source = original_of(folder, model, input, model_arg, normalize)
    subject = prepare(source, weights=weights, pretrained=pretrained)
    with stage(f"loading {folder}"):
        ghost = ghostify.load(folder, subject.network)
    known = is_original_known(weights, pretrained, model)
    where = device_named(device)
    opened = open_for(
        subject,
        data,
        root=data_root,
        batch_size=batch_size,
        workers=workers,
        held_out=held_out,
        labels=not no_labels,
        augmentation=Augmentation(),
    )
    found = ghostify.recalibrate(ghost.to(where), opened, batches=batches)
    compared = scored(
        {"before": ghost, "after": found},
        opened,
        subject.example,
        teacher=subject.network if known else None,
        device=where,
    )
    tell_skipped(opened.skipped())
    if known:
        tell_untrained(subject)
    print_document(compared.document(source.name), format)
    before, after = (compared.rows[name] for name in ("before", "after"))
    if after.score.selection_score < before.score.selection_score and not keep_worse:
        note(f"{folder} stays as it was, which scores better; --keep-worse saves it nevertheless.")
        return
    with stage(f"saving {folder}"):
        ghostify.resave(found, folder)
    name = stage_of(folder)
    remembered_with(folder, Evaluation(compared.data, compared.held_out, {name: after}))
    note(f"Saved to {folder}.")
