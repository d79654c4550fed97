"""``ghostify recover``"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from ghostify import Augmentation, RecoverySettings
from ghostify.cli import options
from ghostify.cli.context import load_artifact, note_outputs, note_skipped, open_data
from ghostify.cli.next_step import after_recover
from ghostify.cli.options import Format
from ghostify.cli.settings import option
from ghostify.cli.terminal import note, print_document
from ghostify.io.atomic import TRAINING
from ghostify.io.progress import is_main_process
from ghostify.report.metric_texts import METRIC_TEXTS, describe_score, format_metric
from ghostify.types import Recovery, Score


def recover(
    folder: options.Folder,
    source: options.DataOptions,
    settings: RecoverySettings,
    augmentation: Augmentation,
    original: options.OriginalOptions,
    out: Path | None = option(None, None, "-o", metavar="DIR"),
    teacher_weights: Path | None = option(None, metavar="FILE"),
    force: bool = option(False),
    stages: int | None = option(None, min=2),
    device: options.Device = None,
    resume: bool = option(False),
    tensorboard: bool = option(False),
    format: options.FormatOption = Format.table,
) -> None:
    """Train a converted network with its original as teacher, and save the result beside it.

    If no epoch is better, nothing is saved. The original's weights are found where they were when
    it was converted, or given by --weights. Runs on several GPUs by accelerate launch -m ghostify
    recover.

    Example: ghostify recover resnet50-ghost --data imagenet --minutes 20

    Options:
        out: Where to save. Default: DIR-recovered.
        teacher_weights: With --force: other weights for the teacher than those that were
            converted.
        force: Replace an existing artifact, and allow a teacher with other weights
            than the network that was converted.
        stages: Progressive conversion in this many stages: convert the original's least sensitive
            layers first, and train after each stage for --epochs or --minutes.
        resume: Continue a training that was interrupted.
        tensorboard: Also write the history for TensorBoard.
    """
    artifact, found = load_artifact(folder, original)
    from ghostify.artifact.folder import beside

    data = open_data(found, source, seed=settings.seed, augmentation=augmentation)
    outputs = artifact.outputs(data, source.outputs)
    note_outputs(outputs)
    try:
        saved, recovery, evaluation = artifact.recover(
            data,
            settings,
            out=out,
            stages=stages,
            device=device,
            teacher_weights=teacher_weights,
            force=force,
            resume=resume,
            tensorboard=tensorboard,
            outputs=outputs,
            on_epoch=_note_epoch,
        )
    except KeyboardInterrupt:
        note(_interrupted(out or beside(folder, "recovered")))
        raise typer.Exit(130) from None
    if not is_main_process():
        return
    note_skipped(data.skipped())
    for text in recovery.notes():
        note(text)
    if recovery.best_epoch:
        note(f"Saved to {saved.path}: the weights of epoch {recovery.best_epoch}.")
    elif recovery.selection and recovery.selection.rejected:
        note("Nothing is saved.")
    else:
        note(_not_better(recovery))
    if evaluation is not None:
        print_document(evaluation.document(model=found.source.name), format)
    after_recover(saved.path, recovery, original)


def _interrupted(out: Path) -> str:
    from ghostify.training.checkpoint import has_checkpoint, has_stages

    work = out / TRAINING
    if has_checkpoint(work) or has_stages(work):
        return f"Interrupted; {work} holds a checkpoint. To continue, repeat with --resume."
    return "Interrupted before the first checkpoint."


def _note_epoch(record: Mapping[str, Any]) -> None:
    shown = describe_score(Score(**record["score"])) if record["score"] else ""
    part = f"stage {record['stage']}, " if "stage" in record else ""
    minutes, seconds = divmod(int(record["seconds"]), 60)
    held_out = f"; held out: {shown}" if shown else ""
    note(
        f"{part}epoch {record['epoch']}, {minutes}:{seconds:02d}: loss {record['loss']:.4g}"
        f"{held_out}"
    )


def _not_better(recovery: Recovery) -> str:
    """Return what to say and to try when no epoch is better than the converted network."""
    last = recovery.history[-1].get("stage")  # earlier stages convert fewer layers
    scores = [Score(**r["score"]) for r in recovery.history if r.get("stage") == last]
    best = max(scores, key=lambda score: score.selection_score)
    name = METRIC_TEXTS[best.decisive].heading
    given = recovery.selection.given if recovery.selection else best
    found, before = (format_metric(score, best.decisive) for score in (best, given))
    return f"Held-out {name} did not improve ({found} against {before}); nothing is saved."
