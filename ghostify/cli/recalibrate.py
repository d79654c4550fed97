"""``ghostify recalibrate``"""

from __future__ import annotations

from pathlib import Path

from ghostify import Augmentation
from ghostify.cli import options
from ghostify.cli.context import load_artifact, note_skipped, open_data
from ghostify.cli.next_step import after_scores
from ghostify.cli.options import Format
from ghostify.cli.settings import option
from ghostify.cli.terminal import note, print_document


def recalibrate(
    folder: options.Folder,
    source: options.DataOptions,
    original: options.OriginalOptions,
    out: Path | None = option(None, None, "-o", metavar="DIR"),
    force: bool = option(False),
    batches: int | None = option(None, min=1),
    keep_worse: bool = option(False),
    device: options.Device = None,
    format: options.FormatOption = Format.table,
) -> None:
    """Estimate a network's BatchNorm statistics again, and save the result beside it.

    It helps a network that was not fitted (--init weights). After a fit to --calibration it usually
    harms. Without labels the original's weights are needed.

    Example: ghostify recalibrate resnet50-ghost --data imagenet --batches 50

    A result that scores worse is not saved.

    Options:
        out: Where to save. Default: DIR-recalibrated.
        force: Replace an existing artifact.
        batches: How many to use. Default: all.
        keep_worse: Save the result even if it scores worse.
    """
    artifact, found = load_artifact(folder, original)
    data = open_data(found, source, augmentation=Augmentation())
    saved, evaluation = artifact.recalibrate(
        data,
        out=out,
        force=force,
        batches=batches,
        keep_worse=keep_worse,
        outputs=source.outputs,
        device=device,
    )
    note_skipped(data.skipped())
    print_document(evaluation.document(model=found.source.name), format)
    if saved is artifact:
        note("The score is worse; nothing is saved. --keep-worse saves it nevertheless.")
    else:
        note(f"Saved to {saved.path}.")
    after_scores(saved.path, evaluation, source, original)
