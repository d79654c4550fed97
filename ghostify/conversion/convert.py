"""Act on a plan: a copy of the model with Ghost modules in place of convolutions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils._pytree import tree_map_only

from ghostify import planning
from ghostify.analysis import analyze
from ghostify.analysis.arguments import check_model
from ghostify.analysis.dataflow import trace_dataflow
from ghostify.analysis.dry_run import dry_run, eval_mode, materialize
from ghostify.analysis.eligibility import own_ineligible_reason
from ghostify.analysis.filterwise import narrowed
from ghostify.analysis.model_copy import copy_model, frozen_copy
from ghostify.analysis.verification import Expectation, expectations, find_culprits
from ghostify.conversion.init import find_initializer
from ghostify.conversion.init.residuals import last_terms
from ghostify.conversion.init.task import Task
from ghostify.data import as_batches, held_out, images_in
from ghostify.evaluation.agreement import agreement
from ghostify.io.progress import progress_bar
from ghostify.nn import GhostModule
from ghostify.types import ConvSite, Example, Fidelity, Geometry, GhostifyError, GhostSpec, Plan
from ghostify.types.attachment import Attachment
from ghostify.types.errors import near
from ghostify.types.progress import ShowProgress

Model = TypeVar("Model", bound=nn.Module)


def convert(
    model: Model,
    example: Example | None = None,
    *,
    plan: Plan | None = None,
    ratio: float | None = None,
    dw_size: int | None = None,
    verify: bool = True,
    init: str | None = None,
    calibration: Any = None,
    local_steps: int = 0,
    progress: ShowProgress = True,
) -> Model:
    """Copy ``model`` and put Ghost modules in place of its convolutions.

    The result is of the model's own class, and everything keeps its name. With ``calibration``,
    some images without labels, it keeps as much as can be of what the network knows: site by site
    the Ghost modules are fitted to the original's maps, and the layers that stay dense follow
    (`initializers.calibrated`). Without, Ghost modules are made from the filters alone, and the
    network has to be trained before use. ``model`` itself is never changed, and may have been
    converted in part before.

    Given an example, what is handed over has run: in evaluation and in training mode (where the
    original does), with the original's output structure and shapes. A site that breaks this is put
    back, and the plan of the result says why.

    Args:
        model: the network to convert.
        example: an input to find shapes and to verify with, as in `analyze`; with ``plan`` it may
            be left out, and nothing is verified then.
        plan: what to do, from `plan`. Without one, the uniform plan for ``ratio`` and ``dw_size``.
        ratio: s of the uniform plan.
        dw_size: d of the uniform plan.
        verify: whether to run the result on the example before it is handed over.
        init: what Ghost modules are filled with, a name of `initializers.INITIALIZERS`. Default:
            ``calibrated`` with calibration data; ``weights`` without, where the model looks
            trained; otherwise the first m filters of each convolution, and random cheap kernels.
        calibration: batches of the model's inputs, 64 to 512 images of the kind it is for: a
            tensor, a DataLoader (labels are dropped), or any iterable. A fifth is held out, to
            measure on it what was kept (`Fidelity`).
        local_steps: gradient steps for each site after it is fitted in closed form; 40 to 100 keep
            a little more, and take some times as long.
        progress: whether to show a bar, or a function that is called with each `Progress`.

    Raises:
        GhostifyError: if the plan does not fit the model, or replaces nothing; if both a plan and
            numbers for one are given; and as `analyze` and `plan` do.
    """
    check_model(model)
    numbers = {
        key: value
        for key, value in {"ratio": ratio, "dw_size": dw_size}.items()
        if value is not None
    }
    if plan is None:
        if example is None:
            raise GhostifyError("convert needs an example input, or a plan made with one")
        plan = planning.plan_sites(analyze(model, example), **numbers)  # type: ignore[arg-type]
    elif numbers:
        raise GhostifyError(f"the plan already says {' and '.join(numbers)}: give one or the other")
    model = model if example is None else materialize(model, example)
    replaced = _check(model, plan)
    converted = _swapped(model, replaced)
    if verify and example is not None:
        expected = expectations(model, example)
        while broken := _broken(model, expected, converted, replaced):
            plan = _put_back(plan, broken)
            replaced = _check(model, plan)
            converted = _swapped(model, replaced)
    Attachment.remove_all(converted)  # what an earlier conversion left, whose copy this is
    _with_earlier(model, plan).attach(converted)
    if init is None and calibration is None and (example is None or is_untrained(model)):
        return converted
    name = init or ("weights" if calibration is None else "calibrated")
    batches = None if calibration is None else as_batches(calibration, example)
    if batches:
        dry_run(model, batches[0])  # images may be of another size than the example
    _fill(model, converted, plan, example, name, batches, local_steps, progress)
    return converted


def _fill(
    model: nn.Module,
    converted: nn.Module,
    plan: Plan,
    example: Example | None,
    init: str,
    batches: list[Example] | None,
    local_steps: int,
    progress: ShowProgress,
) -> None:
    """Initialize the Ghost modules, and leave on the model what was kept."""
    initializer = find_initializer(init)
    if init == "calibrated" and not batches:
        raise GhostifyError("init='calibrated' needs calibration data")
    if init != "random" and example is None:
        raise GhostifyError(f"init={init!r} needs an example input")
    device = next((p.device for p in model.parameters()), None)
    batches = tree_map_only(Tensor, lambda tensor: tensor.to(device), batches or [])
    fitted, aside = held_out(batches)
    notes = [_UNTRAINED] if init != "random" and is_untrained(model) else []
    flow = trace_dataflow(model, example) if init != "random" and example is not None else None
    task = Task(
        original=frozen_copy(model),
        converted=converted,
        sites=tuple(plan.replaced),
        followers=flow.followers() if flow else {},
        last_terms=last_terms(flow) if flow else (),
        batches=fitted,
        local_steps=local_steps,
        notes=notes,
    )
    with eval_mode(converted), progress_bar("converting", progress) as task.report:
        residuals = initializer(task)
    Fidelity(
        init=init,
        residuals=residuals,
        images=sum(map(images_in, fitted)),
        agreement=agreement(model, converted, aside) if aside else None,
        notes=tuple(notes),
    ).attach(converted)


_UNTRAINED = "this network looks untrained: there is nothing to keep"


def is_untrained(model: nn.Module) -> bool:
    """Whether its batch norms have never seen data, or, without any, no convolution has a bias."""
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.running_mean is not None]
    if norms:
        return not any(_holds_numbers(norm.get_buffer("running_mean")) for norm in norms)
    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    return not any(m.bias is not None and _holds_numbers(m.bias) for m in convolutions)


def _holds_numbers(tensor: Tensor) -> bool:
    """Whether any is not zero; the meta device has none."""
    return not tensor.is_meta and bool(tensor.any())


def _swapped(model: Model, replaced: Mapping[str, GhostSpec]) -> Model:
    convolutions = {model.get_submodule(name): ghost for name, ghost in replaced.items()}
    return copy_model(
        model, {conv: _ghost_module(conv, ghost) for conv, ghost in convolutions.items()}
    )


def _broken(
    model: Model,
    expected: list[Expectation],
    converted: Model,
    replaced: Mapping[str, GhostSpec],
) -> dict[str, str]:
    """The sites that break the converted model, with what happens."""

    def fault_of(names: Iterable[str]) -> str | None:
        trial = (
            converted
            if len(list(names)) == len(replaced)
            else _swapped(model, {name: replaced[name] for name in names})
        )
        return next(filter(None, (e.fault_of(trial) for e in expected)), None)

    return find_culprits(list(replaced), fault_of)


def _with_earlier(model: nn.Module, plan: Plan) -> Plan:
    """What was decided in all, if ``model`` is itself the result of a conversion."""
    earlier = Plan.find(model)
    if earlier is None:
        return plan
    later = {decision.site.name: decision for decision in plan.decisions}
    return Plan(tuple(d if d.ghost else later.get(d.site.name, d) for d in earlier.decisions))


def _put_back(plan: Plan, broken: dict[str, str]) -> Plan:
    decisions = (
        replace(d, ghost=None, keep=f"put back: {broken[d.site.name]}")
        if d.site.name in broken
        else d
        for d in plan.decisions
    )
    return Plan(tuple(decisions))


def _check(model: nn.Module, plan: Plan) -> dict[str, GhostSpec]:
    """All of the plan against the model, before anything is made."""
    modules = dict(model.named_modules())
    replaced = {}
    for decision in plan.decisions:
        site = decision.site
        if site.name not in modules and (decision.ghost or not site.functional):
            raise GhostifyError(
                f"the plan names {site.name}, which the model lacks{near(site.name, modules)}"
            )
        if decision.ghost is not None:
            _check_replaceable(modules[site.name], site)
            replaced[site.name] = decision.ghost
    if not replaced:
        reasons = sorted({d.keep for d in plan.decisions if d.keep})
        raise GhostifyError(
            f"nothing to replace in {type(model).__name__}: "
            + (f"every convolution is kept ({'; '.join(reasons)})" if reasons else "no convolution")
        )
    return replaced


def _check_replaceable(module: nn.Module, site: ConvSite) -> None:
    if ineligible := own_ineligible_reason(module):
        raise GhostifyError(f"the plan replaces {site.name}, which cannot be: {ineligible}")
    if (geometry := Geometry.of(module)) != site.geometry:
        raise GhostifyError(
            f"the plan was made for another {site.name}: {site.geometry} there, {geometry} here"
            + _other_difference(site.geometry, geometry)
        )


def _other_difference(planned: Geometry, found: Geometry) -> str:
    """What differs between two geometries that print alike."""
    if str(planned) != str(found):
        return ""
    field = next(
        name
        for name in ("padding", "bias", "padding_mode")
        if getattr(planned, name) != getattr(found, name)
    )
    return f" ({field} {getattr(planned, field)!r} there, {getattr(found, field)!r} here)"


def _ghost_module(conv: nn.Module, ghost: GhostSpec) -> GhostModule:
    """A Ghost module for the place of ``conv``, with the first m of its filters."""
    assert isinstance(conv, nn.Conv2d)
    primary = narrowed(conv, ghost.intrinsic(conv.out_channels))
    return GhostModule.around(primary, conv.out_channels, ghost).train(conv.training)
