"""``ghostify recalibrate``"""

from __future__ import annotations

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
    batches: int | None = option(None, min=1),
    keep_worse: bool = option(False),
    device: options.Device = None,
    format: options.FormatOption = Format.table,
) -> None:
    """Estimate a network's BatchNorm statistics again, and save them if they score no worse.

    It helps a network that was not fitted (--init weights). After a fit to --calibration it usually
    harms. Without labels the original's weights are needed.

    Example: ghostify recalibrate resnet50-ghost --data imagenet --batches 50

    Options:
        batches: How many to use. Default: all.
        keep_worse: Save the result even if it scores worse.
    """
    artifact, found = load_artifact(folder, original)
    data = open_data(found, source, augmentation=Augmentation())
    evaluation, updated = artifact.recalibrate(
        data, batches=batches, keep_worse=keep_worse, outputs=source.outputs, device=device
    )
    note_skipped(data.skipped())
    print_document(evaluation.document(model=found.source.name), format)
    if updated:
        note(f"Saved to {folder}.")
    else:
        note(f"The score is worse; {folder} is unchanged. --keep-worse saves it nevertheless.")
    after_scores(folder, evaluation, source, original)
