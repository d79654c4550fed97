"""A conversion in several steps, each trained back before the next."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from typing import Any, TypeVar

from torch import nn

from ghostify.conversion import convert
from ghostify.data import Data
from ghostify.planning.damage import damage_from
from ghostify.recovery.recovering import recover, untold, unwatched
from ghostify.recovery.training import Tell, Watch
from ghostify.spec import (
    Example,
    GhostifyError,
    Plan,
    Recovery,
    RecoverySettings,
    Sensitivity,
)

Model = TypeVar("Model", bound=nn.Module)


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
    progress: Watch = unwatched,
    on_epoch: Tell = untold,
) -> tuple[Model, tuple[Recovery, ...]]:
    """Convert the least sensitive layers, train, convert the next ones, and so on.

    The teacher is the original in every step. Whether this is better than all at once depends on
    the network and on the budget: compare at the same number of training steps in all.

    Args:
        model: the original, trained; it is not changed.
        example: an input, as in `convert`.
        plan: what the layers become in the end.
        data, validation, progress, on_epoch: as in `recover`.
        settings: of the training after each step.
        steps: how many, with about the same number of layers each.
        sensitivity: tells the order; by default the estimate that `plan` goes by.
        calibration: images to fit the layers of each step to, as in `convert`.

    Returns:
        The recovered network, and what happened in each step.

    Raises:
        GhostifyError: if there are fewer layers to replace than steps, or as `convert` and
            `recover` do.
    """
    groups = _groups(plan, steps, sensitivity)
    student, recoveries = model, []
    for group in groups:
        student = convert(student, example, plan=_part(plan, group), calibration=calibration)
        student, recovery = recover(
            model,
            student,
            data,
            settings,
            validation=validation,
            example=example,
            progress=progress,
            on_epoch=on_epoch,
        )
        recoveries.append(recovery)
    return student, tuple(recoveries)


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
