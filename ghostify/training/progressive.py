"""A conversion in several steps, each trained back before the next."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

from torch import nn

from ghostify.analysis.arguments import check_model
from ghostify.conversion.convert import convert
from ghostify.data import Data, images_in, set_epoch, split_labels
from ghostify.planning.budgeted import damage_from
from ghostify.training.checkpoint import has_checkpoint, read_checkpoint
from ghostify.training.recover import recover, unfinished, untold, unwatched
from ghostify.training.trainer import Tell, TrainingProgress, Watch
from ghostify.types import Example, GhostifyError, Plan, Recovery, RecoverySettings, Sensitivity
from ghostify.types.progress import ShowProgress

Model = TypeVar("Model", bound=nn.Module)

_IMAGES = 256
"""That the layers of a step are fitted to."""


def recover_by_steps(
    model: Model,
    example: Example,
    plan: Plan,
    data: Data | Iterable[Any],
    settings: RecoverySettings | None = None,
    *,
    steps: int = 4,
    sensitivity: Sensitivity | None = None,
    calibration: Any = None,
    validation: Iterable[Any] | None = None,
    folder: str | Path | None = None,
    resume: bool = False,
    tensorboard: bool = False,
    converting: ShowProgress = True,
    progress: Watch = unwatched,
    on_epoch: Tell = untold,
) -> tuple[Model, Recovery]:
    """Convert the least sensitive layers, train, convert the next ones, and so on.

    The teacher is the original in every step. Whether this is better than all at once depends on
    the network and on the budget: compare at the same number of training steps in all.

    Args:
        model: the original, trained; it is not changed.
        example: an input, as in `convert`.
        plan: what the layers become in the end.
        data, validation, tensorboard, progress: as in `recover`.
        settings: of the training after each step.
        steps: how many, with about the same number of layers each.
        sensitivity: tells the order; by default the estimate that `plan` goes by.
        calibration: images to fit the layers of each step to, as in `convert`; by default the
            first 256 of the data.
        folder: as in `recover`, with a folder of its own for each step.
        resume: go on in ``folder``, with the step that was under way.
        converting: called with what is done of a conversion, as in `convert`.
        on_epoch: called with the record of each epoch, which here has its ``part`` as well: the
            number of the step, from 1.

    Returns:
        The recovered network, and what happened in all steps together (`Recovery.joined`).

    Raises:
        GhostifyError: if there are fewer layers to replace than steps, or as `convert` and
            `recover` do.
    """
    check_model(model)
    groups = _groups(plan, steps, sensitivity)
    places = [None if folder is None else Path(folder) / f"step-{n + 1}" for n in range(steps)]
    if not resume:
        _check_finished(places)
    student, recoveries = model, []
    for number, (group, place) in enumerate(zip(groups, places, strict=True)):
        begun = resume and place is not None and has_checkpoint(place)  # which has the weights
        if not begun and calibration is None:
            calibration = list(_first_images(data))
        student = convert(
            student,
            example,
            plan=_part(plan, group),
            init="random" if begun else None,
            calibration=None if begun else calibration,
            progress=converting,
        )
        student, recovery = recover(
            model,
            student,
            data,
            settings,
            validation=validation,
            example=example,
            folder=place,
            resume=resume,
            tensorboard=tensorboard,
            progress=_watching(progress, number, steps),
            on_epoch=_telling(on_epoch, number),
        )
        recoveries.append(recovery)
    joined = Recovery.joined(recoveries)
    joined.attach(student)
    return student, joined


def _check_finished(places: list[Path | None]) -> None:
    """That no step is lost by beginning with the first again."""
    found = [None if place is None else read_checkpoint(place) for place in places]
    if any(found) and not (found[-1] and found[-1].finished):
        raise unfinished(next(place.parent for place in places if place is not None))


def _first_images(data: Data | Iterable[Any]) -> Iterator[Example]:
    batches, images = data.train if isinstance(data, Data) else data, 0
    set_epoch(batches, 0)
    for batch in batches:
        inputs, _ = split_labels(batch)
        yield inputs
        images += images_in(inputs)
        if images >= _IMAGES:
            return


def _watching(progress: Watch, number: int, steps: int) -> Watch:
    def watch(moment: TrainingProgress) -> None:
        spent = (number + moment.spent) / steps
        stage = f"step {number + 1} of {steps}, {moment.stage}"
        progress(replace(moment, spent=spent, stage=stage))

    return watch


def _telling(on_epoch: Tell, number: int) -> Tell:
    def tell(record: Mapping[str, Any]) -> None:
        on_epoch({"part": number + 1, **record})

    return tell


def _groups(plan: Plan, steps: int, sensitivity: Sensitivity | None) -> list[set[str]]:
    """Layers by name, the least sensitive ones first."""
    if not 1 <= steps <= len(plan.replaced):
        raise GhostifyError(f"steps (={steps}) must be from 1 to {len(plan.replaced)}, the layers")
    damage = damage_from(sensitivity)
    damages = {d.site.name: damage(d.site, d.ghost) for d in plan.decisions if d.ghost}
    names = sorted(damages, key=damages.__getitem__)
    ends = [round(len(names) * step / steps) for step in range(steps + 1)]
    return [set(names[a:b]) for a, b in pairwise(ends)]


def _part(plan: Plan, group: set[str]) -> Plan:
    return Plan(
        tuple(
            replace(d, ghost=None, keep="left for another step")
            if d.ghost and d.site.name not in group
            else d
            for d in plan.decisions
        )
    )
