"""Fill the Ghost modules of a converted model with what the original knows."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from ghostify.analysis.dataflow import trace_dataflow
from ghostify.analysis.model_copy import frozen_copy
from ghostify.analysis.preserve import eval_mode, exact_float32
from ghostify.conversion.init.calibrated import init_calibrated
from ghostify.conversion.init.residual_sums import last_terms
from ghostify.conversion.init.task import Task
from ghostify.conversion.init.weights import init_from_weights
from ghostify.conversion.narrow import narrow
from ghostify.data import hold_out_batches, images_in
from ghostify.data.batches import device_of, split_batch
from ghostify.evaluation.evaluate import agreement
from ghostify.io.progress import progress_bar
from ghostify.models.identity import is_untrained
from ghostify.types import Example, Fidelity, GhostifyError, Outputs, Plan
from ghostify.types.progress import ShowProgress

_CPU_NUMBERS = 600_000
"""Numbers in the images that run together on a CPU: four of 224 pixels. Feature maps of more leave
its caches, and take memory."""

_UNTRAINED = "this network appears to be randomly initialized: there is nothing to keep"


def init_random(task: Task) -> dict[str, float]:
    """Reset both convolutions of every Ghost module, for training from scratch."""
    for site in task.sites:
        ghost = task.ghost(site)
        for operation in (ghost.primary_conv[0], ghost.cheap_operation[0]):
            operation.reset_parameters()  # type: ignore[operator]
    return {}


INITIALIZERS: dict[str, Callable[[Task], dict[str, float]]] = {
    "random": init_random,
    "weights": init_from_weights,
    "calibrated": init_calibrated,
}
"""By name, functions that fill the Ghost modules of a task and return residual errors by site."""


@exact_float32()
def initialize(
    model: nn.Module,
    converted: nn.Module,
    plan: Plan,
    example: Example | None,
    *,
    init: str,
    batches: list[Example],
    outputs: Outputs,
    finetune_steps: int,
    progress: ShowProgress,
) -> None:
    """Fill the Ghost modules of ``converted`` in place, and attach what was kept (`Fidelity`).

    Args:
        model: the original.
        converted: what `swap` made of it by ``plan``.
        example: an input; ``init="random"`` does without.
        init: a name in `INITIALIZERS`.
        batches: calibration data, on the model's device; a fifth, about 64 images at most, is held
            out to measure the agreement on.
        outputs: what the outputs mean.
    """
    if init not in INITIALIZERS:
        raise GhostifyError(f"`init` (={init!r}) must be one of {', '.join(INITIALIZERS)}")
    if init == "calibrated" and not batches:
        raise GhostifyError("init='calibrated' needs calibration data")
    if init != "random" and example is None:
        raise GhostifyError(f"init={init!r} needs an example input")
    device = device_of(model)
    fitted, held_out = hold_out_batches(batches)
    if device.type == "cpu":
        fitted = [part for batch in fitted for part in split_batch(batch, _CPU_NUMBERS)]
    notes = [_UNTRAINED] if init != "random" and is_untrained(model) else []
    flow = trace_dataflow(model, example) if init != "random" else None
    with eval_mode(converted), progress_bar("converting", progress) as report:
        original = frozen_copy(model)
        task = Task(
            original=original,
            dense=narrow(original, plan) if plan.widths else original,
            kept={n: torch.tensor(c, device=device) for n, c in plan.kept_channels.items()},
            converted=converted,
            sites=tuple(plan.replaced),
            following_norms=flow.following_norms() if flow else {},
            last_terms=last_terms(flow) if flow else (),
            batches=fitted,
            outputs=outputs,
            finetune_steps=finetune_steps,
            notes=notes,
            report=report,
        )
        residuals = INITIALIZERS[init](task)
    Fidelity(
        init=init,
        residuals=residuals,
        images=sum(map(images_in, fitted)),
        score=agreement(model, converted, held_out, outputs) if held_out else None,
        notes=tuple(notes),
    ).attach(converted)
