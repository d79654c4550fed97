"""``ghostify recover``"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
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
    device_named,
    is_original_known,
    open_for,
    remembered_with,
    tell_untrained,
)
from ghostify.cli.settings import expand_settings
from ghostify.cli.terminal import note, stage, training_progress
from ghostify.cli.workflow import original_of, prepare, print_document, tell_skipped
from ghostify.io.measurements import recorded
from ghostify.io.progress import is_main_process

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ghostify.data import Data


@expand_settings
def recover(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A folder that ghostify convert has made.")
    ],
    data: options.DataSource,
    settings: RecoverySettings,
    augmentation: Augmentation,
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps",
            min=2,
            help="Convert the original anew in so many steps, the least sensitive layers first, "
            "each trained before the next, for --epochs and --minutes of its own.",
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a training that was interrupted.")
    ] = False,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Also write the history for TensorBoard.")
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
            help="The original, where the folder cannot say; one that loads its own weights, or "
            "with --weights.",
        ),
    ] = None,
    weights: options.Weights = None,
    pretrained: options.Pretrained = False,
    input: options.Input = None,
    normalize: options.Normalize = None,
    model_arg: options.ModelArgs = None,
    format: options.FormatOption = Format.table,
) -> None:
    """Train a converted network back, with its original as teacher, and save it to its folder.

    The original needs its weights: --weights, --pretrained, or a --teacher that loads them. The
    best weights are kept, and those of before where none is better. Runs on several GPUs by
    accelerate launch -m ghostify recover.

    Example: ghostify recover resnet50-ghost --data imagenet --pretrained --minutes 20
    """
    if not is_original_known(weights, pretrained, teacher):
        raise GhostifyError(
            "the teacher needs the original's weights: add --weights, --pretrained or --teacher"
        )
    work = folder / "recovery"
    _check_kind(work, steps)
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
        with training_progress() as (converting, watch, tell):
            common: dict[str, Any] = {
                "folder": work,
                "resume": resume,
                "tensorboard": tensorboard,
                "progress": watch,
                "on_epoch": tell,
            }
            network, example, plan = subject.network, subject.example, Plan.of(ghost)
            if steps is None:
                recovered, recovery = ghostify.recover(
                    network, ghost, opened, settings, example=example, **common
                )
            else:
                recovered, recovery = ghostify.recover_by_steps(
                    network,
                    example,
                    plan,
                    opened,
                    settings,
                    steps=steps,
                    sensitivity=_sensitivity(folder, plan),
                    converting=converting,
                    **common,
                )
    except KeyboardInterrupt:
        note(_how_to_go_on(work))
        raise typer.Exit(130) from None
    if not is_main_process():
        return
    from ghostify.training.checkpoint import remove_checkpoints

    tell_skipped(opened.skipped())
    if steps is not None and recovery.recovered is not None:  # beside what the folder has
        recovery = replace(recovery, converted=_score(ghost, opened, network))
        recovery.attach(recovered)
    better = _is_better(recovery)
    if better:
        with stage(f"saving {folder}"):
            ghostify.resave(recovered, folder)
        note(f"Saved to {folder}.")
    else:
        note(f"{folder} stays as it was: no epoch scored better. Try more, or another --lr.")
    remove_checkpoints(work)
    if recovery.recovered is not None:
        networks = {"original": network, "converted": ghost, "recovered": recovered}
        if not better:
            networks.pop("recovered")
        found = _evaluation(recovery, networks, opened, example)
        print_document(remembered_with(folder, found).document(source.name), format)


def _is_better(recovery: Recovery) -> bool:
    """Whether what was learnt is to be saved; without images held out it is."""
    before, after = recovery.converted, recovery.recovered
    return before is None or after is None or after.selection_score > before.selection_score


def _sensitivity(folder: Path, plan: Plan) -> Sensitivity | None:
    """What the artifact remembers of single layers, if that is all that the plan wants to know."""
    for data in recorded(folder, "sensitivity"):
        found = Sensitivity.from_dict(data)
        if all(ghost in found.layers.get(name, {}) for name, ghost in plan.replaced.items()):
            return found
    return None


def _check_kind(work: Path, steps: int | None) -> None:
    """That an unfinished training is of the kind that is asked for."""
    from ghostify.training.checkpoint import has_checkpoint

    if steps is None and any(map(has_checkpoint, work.glob("step-*"))):
        raise GhostifyError(f"{work} has a training in steps: add --steps, or remove the folder")
    if steps is not None and has_checkpoint(work):
        raise GhostifyError(f"{work} has a training without steps: drop --steps, or remove it")


def _how_to_go_on(work: Path) -> str:
    from ghostify.training.checkpoint import has_checkpoint

    if any(map(has_checkpoint, [work, *work.glob("step-*")])):
        return f"Stopped. What there is lies in {work}: the same command with --resume goes on."
    return "Stopped before anything was learnt."


def _score(ghost: nn.Module, data: Data, teacher: nn.Module) -> Score:
    """That of the network that the folder has, beside the original."""
    device = device_named(None)
    score = ghostify.evaluate(ghost.to(device), data, teacher=teacher.to(device))
    for network in (ghost, teacher):
        network.cpu()
    return score


def _evaluation(
    recovery: Recovery, networks: Mapping[str, nn.Module], data: Data, example: Tensor
) -> Evaluation:
    """What was scored while training, with what the networks cost."""
    from ghostify.report.evaluate_models import evaluation_row

    rows = {
        name: evaluation_row(network, getattr(recovery, name), example)
        for name, network in networks.items()
    }
    return Evaluation(data.name, data.held_out, rows)
