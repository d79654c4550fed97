"""Fill the Ghost modules of a converted model with what the original knows."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils._pytree import tree_map_only

from ghostify.analysis.dataflow import trace_dataflow
from ghostify.analysis.dry_run import dry_run
from ghostify.analysis.model_copy import frozen_copy
from ghostify.analysis.preserve import eval_mode
from ghostify.conversion.init import Task, find_initializer
from ghostify.conversion.init.residual_sums import last_terms
from ghostify.data import hold_out_batches, images_in
from ghostify.evaluation.evaluate import agreement
from ghostify.io.progress import progress_bar
from ghostify.types import Example, Fidelity, GhostifyError, Plan
from ghostify.types.progress import ShowProgress

_UNTRAINED = "this network appears to be randomly initialised: there is nothing to keep"


def initialize(
    model: nn.Module,
    converted: nn.Module,
    plan: Plan,
    example: Example | None,
    *,
    init: str,
    batches: list[Example],
    finetune_steps: int,
    progress: ShowProgress,
) -> None:
    """Fill the Ghost modules of ``converted`` in place, and attach what was kept (`Fidelity`).

    Args:
        model: The original.
        converted: What `swap` made of it.
        plan: The plan it was converted by.
        example: An input; ``init="random"`` does without.
        init: A name in `conversion.init.INITIALIZERS`.
        batches: Calibration data; a fifth is held out to measure the agreement on.
        finetune_steps: Gradient steps for each site after its fit.
        progress: As in `convert`.

    Raises:
        GhostifyError: If the initializer is unknown, or lacks data or an example.
    """
    initializer = find_initializer(init)
    if init == "calibrated" and not batches:
        raise GhostifyError("init='calibrated' needs calibration data")
    if init != "random" and example is None:
        raise GhostifyError(f"init={init!r} needs an example input")
    if batches:
        dry_run(model, batches[0])  # images may be of another size than the example
    device = next((p.device for p in model.parameters()), None)
    batches = tree_map_only(Tensor, lambda tensor: tensor.to(device), batches)
    fitted, aside = hold_out_batches(batches)
    notes = [_UNTRAINED] if init != "random" and is_untrained(model) else []
    flow = trace_dataflow(model, example) if init != "random" and example is not None else None
    task = Task(
        original=frozen_copy(model),
        converted=converted,
        sites=tuple(plan.replaced),
        following_norms=flow.following_norms() if flow else {},
        last_terms=last_terms(flow) if flow else (),
        batches=fitted,
        finetune_steps=finetune_steps,
        notes=notes,
    )
    with eval_mode(converted), progress_bar("converting", progress) as task.report:
        residuals = initializer(task)
    Fidelity(
        init=init,
        residuals=residuals,
        images=sum(map(images_in, fitted)),
        score=agreement(model, converted, aside) if aside else None,
        notes=tuple(notes),
    ).attach(converted)


def is_untrained(model: nn.Module) -> bool:
    """Whether no BatchNorm has seen data or, without any, no convolution has a nonzero bias."""
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.running_mean is not None]
    if norms:
        return not any(_is_nonzero(norm.get_buffer("running_mean")) for norm in norms)
    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    return not any(m.bias is not None and _is_nonzero(m.bias) for m in convolutions)


def _is_nonzero(tensor: Tensor) -> bool:
    return not tensor.is_meta and bool(tensor.any())
