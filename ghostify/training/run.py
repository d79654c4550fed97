"""One training, from the user's networks to the recovered network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from torch import nn

from ghostify.analysis.model_copy import copy_model
from ghostify.training.accelerator import accelerated
from ghostify.training.checkpoint import read_checkpoint
from ghostify.training.trainer import Job, Trainer
from ghostify.types import Fidelity, Recovery

Model = TypeVar("Model", bound=nn.Module)


def run(
    job: Job, student: Model, folder: Path | None, *, given: Model | None = None
) -> tuple[Model, Recovery]:
    """Train a copy of a student; return it with the best weights, and the record.

    Args:
        given: the network that the epochs have to beat. Default: ``student``.
    """
    given = student if given is None else given
    checkpoint = None if folder is None or not job.resume else read_checkpoint(folder)
    with accelerated(job.settings) as accelerator:
        trainer = Trainer(accelerator, job, student, folder)
        trainer.prepare()
        if checkpoint is not None:
            trainer.resume(checkpoint)
        elif given is student:
            trainer.score_given(trainer.student)
        else:
            trainer.score_given(trainer.place(copy_model(given)))
        recovery = trainer.run()
    recovered = copy_model(student if recovery.best_epoch else given)
    recovered.load_state_dict(trainer.state.best or trainer.state.evaluated.state_dict())
    recovered.eval()
    fidelity = Fidelity.find(recovered)
    if fidelity and recovery.best_epoch:  # agreement was measured on other weights
        replace(fidelity, score=None).attach(recovered)
    recovery.attach(recovered)
    return recovered, recovery
