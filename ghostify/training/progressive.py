"""Progressive conversion: convert in stages, and train after each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from ghostify.conversion.convert import convert
from ghostify.data import images_in, set_epoch, split_labels
from ghostify.planning.plan import loss_increase_from
from ghostify.training.checkpoint import has_checkpoint, stage_folder
from ghostify.training.run import run
from ghostify.training.trainer import Job
from ghostify.types import Example, GhostifyError, Plan, Recovery, Sensitivity
from ghostify.types.progress import ShowProgress, TrainingProgress

Model = TypeVar("Model", bound=nn.Module)

_IMAGES = 256
"""Calibration images of each stage."""


def run_stages(
    job: Job,
    student: Model,
    folder: Path | None,
    *,
    stages: int,
    sensitivity: Sensitivity | None,
    calibration: Any,
    progress: ShowProgress,
) -> tuple[Model, Recovery]:
    """Convert the teacher to the student's plan in stages, the least sensitive layers first."""
    plan = Plan.of(student)
    groups = _groups(plan, stages, sensitivity)
    example = job.example
    if example is None:
        first = next(_first_images(job.data))
        example = tree_map_only(Tensor, lambda tensor: tensor[:1], first)
    model: Any = job.teacher
    recoveries = []
    for stage, group in enumerate(groups, 1):
        place = None if folder is None else stage_folder(folder, stage)
        resumed = job.resume and place is not None and has_checkpoint(place)  # holds the weights
        if not resumed and calibration is None:
            calibration = list(_first_images(job.data))
        model = convert(
            model,
            example,
            plan=_part(plan, group),
            init="random" if resumed else None,
            calibration=None if resumed else calibration,
            progress=progress,
        )
        given = student if stage == stages else None
        model, recovery = run(_staged(job, stage, stages), model, place, given=given)
        recoveries.append(recovery)
    joined = Recovery.joined(recoveries)
    joined.attach(model)
    return model, joined


def _first_images(data: Iterable[Any]) -> Iterator[Example]:
    images = 0
    set_epoch(data, 0)
    for batch in data:
        inputs, _ = split_labels(batch)
        yield inputs
        images += images_in(inputs)
        if images >= _IMAGES:
            return


def _staged(job: Job, stage: int, stages: int) -> Job:
    """Return the job with the stage in its reports."""

    def report(moment: TrainingProgress) -> None:
        done = (100 * (stage - 1) + moment.done) / stages
        job.report(replace(moment, stage=stage, stages=stages, done=done))

    return replace(
        job,
        report=report,
        on_epoch=lambda record: job.on_epoch({"stage": stage, **record}),
    )


def _groups(plan: Plan, stages: int, sensitivity: Sensitivity | None) -> list[set[str]]:
    """Return the names of the layers of each stage, the least sensitive first."""
    layers = len(plan.replaced)
    if not 1 <= stages <= layers:
        raise GhostifyError(
            f"`stages` (={stages}) must be from 1 to {layers}, the number of replaced layers"
        )
    loss_increase = loss_increase_from(sensitivity)
    increases = {d.site.name: loss_increase(d.site, d.ghost) for d in plan.decisions if d.ghost}
    names = sorted(increases, key=increases.__getitem__)
    ends = [round(layers * stage / stages) for stage in range(stages + 1)]
    return [set(names[a:b]) for a, b in pairwise(ends)]


def _part(plan: Plan, group: set[str]) -> Plan:
    return Plan(
        tuple(
            replace(d, ghost=None, keep="converted in another stage")
            if d.ghost and d.site.name not in group
            else d
            for d in plan.decisions
        )
    )
