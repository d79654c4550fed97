"""Convert a model: resolve the plan, swap and verify, initialize."""

from __future__ import annotations

import warnings
from typing import Any, TypeVar

from torch import nn

from ghostify.analysis.arguments import check_model
from ghostify.analysis.dry_run import materialize
from ghostify.analysis.model_copy import frozen_copy
from ghostify.conversion.initialize import initialize
from ghostify.conversion.plan import plan as make_plan
from ghostify.conversion.sensitivity import sensitivity as measure_sensitivity
from ghostify.conversion.swap import swap
from ghostify.data import opened_calibration, remember_images
from ghostify.deployment.reparameterize import branches
from ghostify.evaluation.output_kinds import calibrate_on, find_outputs
from ghostify.models.identity import identify, is_untrained
from ghostify.planning.budget import Budgets
from ghostify.planning.rules import Patterns
from ghostify.types import Example, GhostifyError, Outputs, Plan, SeenImages, Sensitivity
from ghostify.types.attachment import Attachment
from ghostify.types.errors import GhostifyWarning
from ghostify.types.outputs import OutputsLike
from ghostify.types.progress import ShowProgress

Model = TypeVar("Model", bound=nn.Module)


def convert(
    model: Model,
    example: Example | None = None,
    *,
    plan: Plan | None = None,
    ratio: float | None = None,
    dw_size: int | None = None,
    include: Patterns = (),
    exclude: Patterns = (),
    stem: bool = False,
    all_eligible: bool = False,
    budget: Budgets | None = None,
    prune: bool = True,
    sensitivity: Sensitivity | None = None,
    runtime: str | None = None,
    threads: int = 1,
    calibration: Any = None,
    outputs: OutputsLike = None,
    init: str | None = None,
    finetune_steps: int = 0,
    verify: bool = True,
    progress: ShowProgress = True,
) -> Model:
    """Copy ``model`` with Ghost modules in place of its convolutions.

    The result is of the model's own class, and everything keeps its qualified name. ``model``
    itself is not changed; it may have been converted in part before.

    With calibration images, the Ghost modules are fitted site by site to the original's feature
    maps, and the layers that stay dense are refitted (`conversion.init.calibrated`). Without, Ghost
    modules are made from the filters alone, and the network has to be trained before use.

    Given an example, the result is run in evaluation and in training mode before it is returned.
    A site that changes the structure or shapes of the outputs is put back, and the plan of the
    result says why.

    Args:
        model: the network to convert.
        example: an input, as in `analyze`. With ``plan`` it may be left out; nothing is verified
            then.
        plan: what to do, from `ghostify.plan`. Default: planned here by the next eleven arguments.
        ratio, dw_size, include, exclude, stem, all_eligible, budget, prune, sensitivity, runtime,
            threads: as in `ghostify.plan`.
        calibration: images of the kind the network is for, 64 to 512, no labels: a tensor, a
            DataLoader, any iterable of batches, or the name of a source as in `open_data`. A fifth,
            about 64 at most, is held out to measure what was kept (`Fidelity`).
        outputs: what the outputs are: ``"classes"`` (logits or probabilities along dimension 1),
            ``"multilabel"`` or ``"values"``. Errors are weighted and measured by it, and the result
            remembers it (`Outputs`). Default: found by labels in the calibration data, or by the
            outputs themselves.
        init: what Ghost modules start from: ``"calibrated"``, ``"weights"`` or ``"random"``.
            Default: ``"calibrated"`` with calibration images; without, ``"weights"`` for a trained
            model, and for an untrained one the first m filters and random cheap kernels.
        finetune_steps: gradient steps for each site after its closed-form fit. 40 to 100 keep a
            little more and take several times as long.
        verify: whether to run the result on the example.
        progress: whether to show progress bars, or a function that is called with each `Progress`.

    Raises:
        GhostifyError: if the plan does not fit the model or replaces nothing, if both a plan and
            arguments for one are given, and as `analyze` and `ghostify.plan` do.
    """
    if example is None:
        check_model(model)
    else:
        model = materialize(model, example)
    images = calibration = opened_calibration(calibration, model, example)
    if calibration is not None:
        calibration, outputs = calibrate_on(model, calibration, example, outputs)
    elif isinstance(outputs, str):
        outputs = find_outputs(
            frozen_copy(model), [] if example is None else [(example, None)], outputs
        )
    options: dict[str, Any] = {
        "ratio": ratio,
        "dw_size": dw_size,
        "include": include,
        "exclude": exclude,
        "stem": stem,
        "all_eligible": all_eligible,
        "budget": budget,
        "sensitivity": sensitivity,
        "runtime": runtime,
    }
    promised = plan is not None or budget is not None
    if plan is None:
        if example is None:
            raise GhostifyError("convert needs `example`, an input of the model, or `plan`")
        if budget is not None and sensitivity is None:
            sensitivity = options["sensitivity"] = measure_sensitivity(
                model, example, calibration=calibration, outputs=outputs, progress=progress
            )
        plan = make_plan(model, example, prune=prune, threads=threads, progress=progress, **options)
    elif given := [
        name
        for name, value in (options | {"prune": not prune}).items()
        if value not in (None, False, ())
    ]:
        raise GhostifyError(f"`plan` already decides {', '.join(given)}: pass one or the other")
    if plan.widths.keys() - plan.kept_channels.keys():
        plan = _with_channels(model, example, plan, calibration, outputs, progress)
    if example is not None:
        _warn_of_branches(model, example, plan)
    weights = identify(model)
    converted, verified = swap(model, plan, example if verify else None)
    if budget is not None and runtime is None and verified.widths.keys() < plan.widths.keys():
        # the layers that can be changed have to meet the budget without those that cannot
        sites = [decision.site for decision in verified.decisions]
        plan = make_plan(sites, prune=prune, **options)
        converted, verified = swap(model, plan, example if verify else None)
    if promised:
        _warn_of_put_back(plan, verified, budget)
    plan = verified
    Attachment.remove_all(converted)  # left by an earlier conversion, whose copy this is
    earlier = Plan.find(model)
    (earlier.then(plan) if earlier else plan).attach(converted)
    for record in (weights, outputs, sensitivity, SeenImages.find(model)):
        if record is not None:
            record.attach(converted)
    remember_images(converted, images)
    if init is None and calibration is None and (example is None or is_untrained(model)):
        return converted
    initialize(
        model,
        converted,
        plan,
        example,
        init=init or ("weights" if calibration is None else "calibrated"),
        batches=calibration or [],
        outputs=outputs or Outputs(),
        finetune_steps=finetune_steps,
        progress=progress,
    )
    return converted


def _warn_of_branches(model: nn.Module, example: Example, plan: Plan) -> None:
    changed = branches(model, example) & plan.replaced.keys()
    if changed:
        warnings.warn(
            f"{type(model).__name__} has parallel branches, which cannot be merged after a "
            f"conversion of {len(changed)} of their layers, and savings are counted against the "
            "unmerged network: merge them first, with ghostify.reparameterize",
            GhostifyWarning,
            stacklevel=3,
        )


def _warn_of_put_back(plan: Plan, verified: Plan, budget: Budgets | None) -> None:
    pairs = zip(plan.decisions, verified.decisions, strict=True)
    back = [new for old, new in pairs if (old.ghost, old.width) != (new.ghost, new.width)]
    if back:
        names = ", ".join(decision.site.name for decision in back)
        missed = "" if budget is None else "; the budget is not met without them: `exclude` them"
        warnings.warn(
            f"the network does not run with the plan for {names}, which stay as they were{missed}",
            GhostifyWarning,
            stacklevel=3,
        )


def _with_channels(
    model: nn.Module,
    example: Example | None,
    plan: Plan,
    calibration: Any,
    outputs: Outputs | None,
    progress: ShowProgress,
) -> Plan:
    """Choose the channels that are left where the plan only says how many."""
    if example is None:
        raise GhostifyError(
            "the plan has a `width` without `channels`: pass `example` to choose them"
        )
    found = measure_sensitivity(
        model,
        example,
        calibration=calibration,
        outputs=outputs,
        candidates=(),
        progress=progress,
    )
    missing = {n: w for n, w in plan.widths.items() if n not in plan.kept_channels}
    return plan.with_channels({n: found.widths[n].channels(w) for n, w in missing.items()})
