"""One training, from the user's networks and data to the recovered network."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from ghostify.analysis.model_copy import copy_model, frozen_copy
from ghostify.training.accelerator import accelerated
from ghostify.training.checkpoint import read_checkpoint
from ghostify.training.clock import Budget
from ghostify.training.loader import ShardedLoader
from ghostify.training.trainer import OnEpoch, ReportTraining, Trainer
from ghostify.types import Example, Fidelity, GhostifyError, Recovery, RecoverySettings

Model = TypeVar("Model", bound=nn.Module)


@dataclass(frozen=True)
class Job:
    """What the stages of a training have in common; see `recover`."""

    teacher: nn.Module
    data: Iterable[Any]
    validation: Iterable[Any] | None
    settings: RecoverySettings
    example: Example | None
    resume: bool
    tensorboard: bool
    report: ReportTraining
    on_epoch: OnEpoch


def run(
    job: Job, student: Model, folder: Path | None, *, given: Model | None = None
) -> tuple[Model, Recovery]:
    """Train a student once.

    Args:
        given: the network that the epochs have to beat. Default: ``student``.

    Returns:
        A copy with the best weights, and the record of the training.
    """
    given = student if given is None else given
    settings = job.settings
    found = None if folder is None or not job.resume else read_checkpoint(folder)
    with accelerated(settings) as accelerator:
        loader = ShardedLoader(job.data, accelerator, settings)
        validation = None
        if job.validation is not None:
            validation = ShardedLoader(job.validation, accelerator, settings, even=False)
        trainer = Trainer(
            accelerator,
            _placed(frozen_copy(job.teacher), accelerator.device, settings),
            _placed(copy_model(student), accelerator.device, settings),
            loader,
            validation,
            _budget(loader, settings),
            settings,
            folder,
        )
        trainer.prepare(job.example)
        if found is not None:
            trainer.resume(found)
        elif given is student:
            trainer.score_given(trainer.student)
        else:
            trainer.score_given(_placed(copy_model(given), accelerator.device, settings))
        recovery = trainer.run(job.report, job.on_epoch, tensorboard=job.tensorboard)
    if recovery.best_epoch:
        recovered = copy_model(student)
        recovered.load_state_dict(trainer.state.best or trainer.state.evaluated.state_dict())
        if fidelity := Fidelity.find(recovered):  # agreement was measured on other weights
            replace(fidelity, agreement=None).attach(recovered)
    else:
        recovered = copy_model(given)
    recovered.eval()
    recovery.attach(recovered)
    return recovered, recovery


def _placed(model: Model, device: torch.device, settings: RecoverySettings) -> Model:
    model.to(device)
    if settings.channels_last:
        model.to(memory_format=torch.channels_last)
    model.eval()
    return model


def _budget(loader: ShardedLoader, settings: RecoverySettings) -> Budget:
    seconds = settings.minutes and 60 * settings.minutes
    if settings.max_epochs is None:
        return Budget(None, seconds)
    try:
        steps = settings.max_epochs * len(loader)
    except TypeError:
        if seconds is None:
            raise GhostifyError("`data` has no length: pass `minutes`") from None
        return Budget(None, seconds)
    if steps == 0:
        raise GhostifyError("`data` is empty")
    return Budget(steps, seconds)
