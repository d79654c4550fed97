"""``ghostify recover``"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import ghostify
from ghostify import (
    Augmentation,
    Evaluation,
    GhostifyError,
    Plan,
    Recovery,
    RecoverySettings,
    Score,
    Sensitivity,
)
from ghostify.cli import options
from ghostify.cli.options import Format
from ghostify.cli.scoring import (
    is_original_known,
    open_for,
    remembered_with,
    tell_untrained,
)
from ghostify.cli.settings import expand_settings
from ghostify.cli.terminal import note, stage
from ghostify.cli.workflow import original_of, prepare, print_document, tell_skipped
from ghostify.io.measurements import recorded
from ghostify.io.progress import is_main_process

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ghostify.data import Data


@expand_settings
def recover(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder written by ghostify convert.")
    ],
    data: options.DataSource,
    settings: RecoverySettings,
    augmentation: Augmentation,
    stages: Annotated[
        int | None,
        typer.Option(
            "--stages",
            min=2,
            help="Progressive conversion in N stages, the least sensitive layers first, each "
            "trained for --epochs or --minutes.",
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue an interrupted training.")
    ] = False,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Also write TensorBoard events.")
    ] = False,
    data_root: options.DataRoot = None,
    batch_size: options.BatchSize = 32,
    workers: options.Workers = 0,
    held_out: options.HeldOut = 0.1,
    no_labels: options.NoLabels = False,
    teacher: Annotated[
        str | None,
        typer.Option(
            "--teacher",
            "--model",
            metavar="MODEL",
            help="The original, if the folder does not name it. It loads its own weights, or add "
            "--weights.",
        ),
    ] = None,
    weights: options.Weights = None,
    pretrained: options.Pretrained = False,
    input: options.Input = None,
    normalize: options.Normalize = None,
    model_arg: options.ModelArgs = None,
    format: options.FormatOption = Format.table,
) -> None:
    """Train a converted network with its original as teacher, and save it to its folder.

    The original needs its weights: --weights, --pretrained, or a --teacher that loads them. The
    best weights are saved; if no epoch is better, the folder is unchanged. On several GPUs:
    accelerate launch -m ghostify recover.

    Example: ghostify recover resnet50-ghost --data imagenet --pretrained --minutes 20
    """
    if not is_original_known(weights, pretrained, teacher):
        raise GhostifyError(
            "the teacher needs the original's weights: add --weights, --pretrained or --teacher"
        )
    work = folder / "recovery"
    source = original_of(folder, teacher, input, model_arg, normalize)
    subject = prepare(source, weights=weights, pretrained=pretrained)
    with stage(f"loading {folder}"):
        ghost = ghostify.load(folder, subject.network)
    opened = open_for(
        subject,
        data,
        root=data_root,
        batch_size=batch_size,
        workers=workers,
        held_out=held_out,
        labels=not no_labels,
        seed=settings.seed,
        augmentation=augmentation,
    )
    tell_untrained(subject)
    try:
        recovered, recovery = ghostify.recover(
            subject.network,
            ghost,
            opened,
            settings,
            stages=stages,
            example=subject.example,
            sensitivity=_sensitivity(folder, Plan.of(ghost)) if stages else None,
            folder=work,
            resume=resume,
            tensorboard=tensorboard,
            on_epoch=_note_epoch,
        )
    except KeyboardInterrupt:
        note(_interrupted(work))
        raise typer.Exit(130) from None
    if not is_main_process():
        return
    from ghostify.training.checkpoint import remove_checkpoints

    tell_skipped(opened.skipped())
    networks = {"original": subject.network, "converted": ghost}
    if recovery.best_epoch:
        with stage(f"saving {folder}"):
            ghostify.resave(recovered, folder)
        note(f"Saved to {folder}.")
        networks["recovered"] = recovered
    else:
        note(_not_better(recovery))
    remove_checkpoints(work)
    if recovery.recovered is not None:
        found = _evaluation(recovery, networks, opened, subject.example)
        print_document(remembered_with(folder, found).document(source.name), format)


def _sensitivity(folder: Path, plan: Plan) -> Sensitivity | None:
    """Return the sensitivity in the folder, if it has every layer and spec of the plan."""
    for data in recorded(folder, "sensitivity"):
        found = Sensitivity.from_dict(data)
        if all(ghost in found.layers.get(name, {}) for name, ghost in plan.replaced.items()):
            return found
    return None


def _interrupted(work: Path) -> str:
    from ghostify.training.checkpoint import has_checkpoint, has_stages

    if has_checkpoint(work) or has_stages(work):
        return f"Interrupted; {work} holds a checkpoint. To continue, repeat with --resume."
    return "Interrupted before the first checkpoint."


_METRICS = (
    ("top1", "top-1", "{:.2%}"),
    ("agreement", "agreement", "{:.2%}"),
    ("kl", "KL divergence", "{:.3g}"),
    ("relative_error", "relative error", "{:.3g}"),
)


def _note_epoch(record: Mapping[str, Any]) -> None:
    score = record["score"] or {}
    shown = [
        f"{name} {form.format(score[metric])}"
        for metric, name, form in _METRICS
        if score.get(metric) is not None
    ]
    part = f"stage {record['stage']}, " if "stage" in record else ""
    minutes, seconds = divmod(int(record["seconds"]), 60)
    held_out = f"; held out: {', '.join(shown)}" if shown else ""
    note(
        f"{part}epoch {record['epoch']}, {minutes}:{seconds:02d}: loss {record['loss']:.4g}"
        f"{held_out}"
    )


def _not_better(recovery: Recovery) -> str:
    """Return what to say and to try when no epoch is better than the converted network."""
    last = recovery.history[-1].get("stage")  # earlier stages convert fewer layers
    scores = [Score(**r["score"]) for r in recovery.history if r.get("stage") == last]
    best = max(scores, key=lambda score: score.selection_score)
    decisive = [each for each in _METRICS if each[0] != "agreement"]
    metric, name, form = next(m for m in decisive if getattr(best, m[0]) is not None)
    found, before = (form.format(getattr(score, metric)) for score in (best, recovery.converted))
    return (
        f"Held-out {name} did not improve ({found} against {before}); the weights are unchanged. "
        f"Try --epochs {2 * len(scores)} or --lr {recovery.settings.peak_lr / 4:g}"
    )


def _evaluation(
    recovery: Recovery, networks: Mapping[str, nn.Module], data: Data, example: Tensor
) -> Evaluation:
    """Return the scores of the training, with the costs of the networks."""
    from ghostify.report.evaluate_models import evaluation_row

    rows = {
        name: evaluation_row(network, getattr(recovery, name), example)
        for name, network in networks.items()
    }
    return Evaluation(data.name, data.held_out, rows)
