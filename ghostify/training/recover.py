"""The verb: train a converted network back, with its original as teacher."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from ghostify.analysis.arguments import check_model
from ghostify.analysis.model_copy import copy_model, frozen_copy
from ghostify.data import Data
from ghostify.training.accelerator import accelerated
from ghostify.training.checkpoint import read_checkpoint
from ghostify.training.feed import ShardedLoader
from ghostify.training.optim import Budget
from ghostify.training.trainer import Tell, Training, TrainingProgress, Watch
from ghostify.types import Example, Fidelity, GhostifyError, Recovery, RecoverySettings

Model = TypeVar("Model", bound=nn.Module)


def unwatched(moment: TrainingProgress) -> None:
    """No progress to be shown."""


def untold(record: Mapping[str, Any]) -> None:
    """No one to be told of an epoch."""


def recover(
    teacher: nn.Module,
    student: Model,
    data: Data | Iterable[Any],
    settings: RecoverySettings | None = None,
    *,
    validation: Iterable[Any] | None = None,
    example: Example | None = None,
    folder: str | Path | None = None,
    resume: bool = False,
    tensorboard: bool = False,
    progress: Watch = unwatched,
    on_epoch: Tell = untold,
) -> tuple[Model, Recovery]:
    """Train a converted network back, with its original as teacher.

    Neither network is changed. Outputs ``(B, classes)`` are taken for logits and drawn to the
    teacher's by their divergence; outputs of any other structure by their relative squared error;
    with ``settings.feature_weight``, the maps at the replaced sites too. Labels are used where the
    data has some and ``settings.alpha`` is above 0, and for scores.

    It runs on what Accelerate finds: one device here, or the processes that ``accelerate launch``
    or ``torchrun`` has started, which divide each batch among them.

    Args:
        teacher: the original, trained.
        student: what `convert` made of it.
        data: a `Data` of `open_data`, a DataLoader, or any iterable that can be gone through again,
            of batches ``images`` or ``(images, labels)``.
        settings: how to train, and how long.
        validation: batches, likewise, to score on after each epoch. Then the best weights are
            kept, and without, the last ones. Default: those of a `Data`.
        example: an input to see the network's layers by; by default the data's first image.
        folder: for checkpoints, at every epoch and every ``checkpoint_minutes``, and
            ``history.jsonl``. Without, nothing is written. The last checkpoint stays, so that what
            was learnt is there until it has been saved: resumed, it gives the result at once.
        tensorboard: also write the history for TensorBoard there.
        resume: go on from the checkpoint in ``folder``, if there is one.
        progress: called some times a second with the `TrainingProgress`.
        on_epoch: called with the record of each epoch.

    Returns:
        A copy of the student with the weights that are kept, in evaluation mode, and what
        happened; `save` keeps that as well.

    Raises:
        GhostifyError: if the data is empty, does not fit, or has no length though ``minutes`` are
            not given; if there is an unfinished training in ``folder`` and ``resume`` is not
            asked; if the loss is no longer finite, with the likely cause; or if Accelerate is
            missing.
        KeyboardInterrupt: on Ctrl-C, after a checkpoint.
        OSError: if ``folder`` cannot be written.
    """
    check_model(teacher, "teacher")
    check_model(student, "student")
    settings = settings or RecoverySettings()
    if isinstance(data, Data):
        validation = data.validation if validation is None else validation
        data = data.train
    folder = None if folder is None else Path(folder)
    found = None if folder is None else read_checkpoint(folder)
    if found is not None and not resume:
        if not found.finished:
            raise unfinished(folder)
        found = None
    with accelerated(settings) as accelerator:
        feed = ShardedLoader(data, accelerator, settings)
        training = Training(
            accelerator,
            _placed(frozen_copy(teacher), accelerator.device, settings),
            _placed(copy_model(student), accelerator.device, settings),
            feed,
            None
            if validation is None
            else ShardedLoader(validation, accelerator, settings, even=False),
            _budget(feed, settings),
            settings,
            folder,
            tensorboard=tensorboard,
        )
        training.begin(example)
        if found is not None:
            training.resume(found)
        recovery = training.run(progress, on_epoch)
    recovered = _handed_over(training, student)
    recovery.attach(recovered)
    return recovered, recovery


def unfinished(folder: Path | None) -> GhostifyError:
    """What to say of a training that a new one would do away with."""
    return GhostifyError(f"{folder} has an unfinished training: resume it, or remove the folder")


def _placed(model: Model, device: torch.device, settings: RecoverySettings) -> Model:
    model.to(device)
    if settings.channels_last:
        model.to(memory_format=torch.channels_last)
    model.eval()
    return model


def _budget(feed: ShardedLoader, settings: RecoverySettings) -> Budget:
    seconds = settings.minutes and 60 * settings.minutes
    if settings.max_epochs is None:
        return Budget(None, seconds)
    try:
        steps = settings.max_epochs * len(feed)
    except TypeError:
        if seconds is None:
            raise GhostifyError("the data does not say its length: give minutes") from None
        return Budget(None, seconds)
    if steps == 0:
        raise GhostifyError("the data is empty")
    return Budget(steps, seconds)


def _handed_over(training: Training, student: Model) -> Model:
    """A copy of the student with the weights that are kept, where the student is."""
    recovered = copy_model(student)
    recovered.load_state_dict(training.best or training.kept.state_dict())
    recovered.eval()
    fidelity = Fidelity.find(recovered)
    if fidelity is not None:  # what it says of the outputs was measured before
        replace(fidelity, agreement=None).attach(recovered)
    return recovered
