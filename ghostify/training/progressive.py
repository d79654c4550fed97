"""One training, or one after each stage of a progressive conversion."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any, TypeVar

from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from ghostify.analysis import analyze
from ghostify.analysis.model_copy import copy_model
from ghostify.conversion.convert import convert
from ghostify.data import set_epoch, split_labels
from ghostify.evaluation.output_kinds import first_pairs, known_outputs
from ghostify.planning.loss_increase import loss_increases
from ghostify.training.accelerator import accelerated
from ghostify.training.checkpoint import has_checkpoint, read_checkpoint, stage_folder
from ghostify.training.job import Job
from ghostify.training.trainer import Trainer
from ghostify.types import Example, Fidelity, GhostifyError, Plan, Recovery, Sensitivity
from ghostify.types.progress import ShowProgress

Model = TypeVar("Model", bound=nn.Module)

_LATER = "converted in another stage"
_IMAGES = 256
"""Calibration images of each stage."""


def train(job: Job, student: Model, given: Model | None = None) -> tuple[Model, Recovery]:
    """Train a copy of a student; return it with the best weights, and the record.

    Args:
        given: the network that the epochs have to beat. Default: ``student``.
    """
    given = student if given is None else given
    checkpoint = read_checkpoint(job.folder) if job.folder and job.resume else None
    with accelerated(job.settings, job.device) as accelerator:
        trainer = Trainer(accelerator, job, student)
        trainer.prepare()
        if checkpoint is not None:
            trainer.resume(checkpoint)
        elif given is student:
            trainer.score_given(trainer.student)
        else:
            trainer.score_given(trainer.place(copy_model(given)))
        recovery = trainer.run()
    recovered = copy_model(student if recovery.best_epoch else given)
    if not trainer.state.position.rejected:
        assert trainer.state.best is not None
        recovered.load_state_dict(trainer.state.best)
    recovered.eval()
    fidelity = Fidelity.find(recovered)
    if fidelity and recovery.best_epoch:  # its score is of other weights
        replace(fidelity, score=None).attach(recovered)
    trainer.outputs.attach(recovered)
    recovery.attach(recovered)
    return recovered, recovery


def train_in_stages(
    job: Job,
    student: Model,
    stages: int,
    sensitivity: Sensitivity | None,
    calibration: Any,
    progress: ShowProgress,
) -> tuple[Model, Recovery]:
    """Convert the teacher to the student's plan in stages, the least sensitive layers first."""
    plan = Plan.of(student)
    groups = _groups(plan, stages, sensitivity)
    if job.example is None:
        first = next(_first_images(job.data))
        job = replace(job, example=tree_map_only(Tensor, lambda tensor: tensor[:1], first))
    model: Any = job.teacher
    outputs = job.outputs or known_outputs(student, model)
    recoveries = []
    for stage, group in enumerate(groups, 1):
        folder = job.folder and stage_folder(job.folder, stage)
        resumed = job.resume and folder is not None and has_checkpoint(folder)  # holds the weights
        if not resumed and calibration is None:
            calibration = list(_first_images(job.data))
        model = convert(
            model,
            job.example,
            outputs=outputs,
            plan=_part(plan, group, model, job.example),
            init="random" if resumed else None,
            calibration=None if resumed else calibration,
            progress=progress,
        )
        given = student if stage == stages else None
        part = replace(job, stage=stage, stages=stages, folder=folder)
        model, recovery = train(part, model, given)
        recoveries.append(recovery)
    joined = Recovery.joined(recoveries)
    joined.attach(model)
    return model, joined


def _first_images(data: Iterable[Any]) -> Iterator[Example]:
    set_epoch(data, 0)
    return (inputs for inputs, _ in first_pairs(map(split_labels, data), _IMAGES))


def _part(plan: Plan, group: set[str], model: nn.Module, example: Example) -> Plan:
    """Return the decisions on one group of layers, of the network as converted so far."""
    others = {d.site.name: d.keep or _LATER for d in plan.decisions if d.site.name not in group}
    part = plan.keeping(others)
    if Plan.find(model) is None:
        return part
    sites = {site.name: site for site in analyze(model, example)}
    return Plan(tuple(replace(d, site=sites.get(d.site.name, d.site)) for d in part.decisions))


def _groups(plan: Plan, stages: int, sensitivity: Sensitivity | None) -> list[set[str]]:
    """Return the names of the layers of each stage, the least sensitive first."""
    increases = loss_increases(plan, sensitivity)
    layers = len(increases)
    if not 1 <= stages <= layers:
        raise GhostifyError(
            f"`stages` (={stages}) must be from 1 to {layers}, the number of converted layers"
        )
    names = sorted(increases, key=increases.__getitem__)
    ends = [round(layers * stage / stages) for stage in range(stages + 1)]
    return [set(names[a:b]) for a, b in pairwise(ends)]
