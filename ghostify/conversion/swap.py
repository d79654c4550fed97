"""Apply a plan to a copy of a model, and verify that it still runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import Any, TypeVar

from torch import nn

from ghostify.analysis.convolutions import first_filters
from ghostify.analysis.dataflow import trace_dataflow
from ghostify.analysis.eligibility import own_ineligible_reason
from ghostify.analysis.model_copy import copy_model
from ghostify.analysis.regions import NoRegionError, find_region
from ghostify.analysis.verification import ReferenceOutput, bisect_failures, reference_outputs
from ghostify.conversion.narrow import check_widths, narrowed_layers
from ghostify.conversion.ultralytics import fuse_around_ghosts
from ghostify.nn import GhostModule
from ghostify.types import ConvSite, Decision, Example, Geometry, GhostifyError, Plan
from ghostify.types.errors import near

Model = TypeVar("Model", bound=nn.Module)

_Change = tuple[str, str]
"""Name of a convolution, and ``ghost`` or ``width``."""

_PUT_BACK = "put back: "

_GEOMETRY = tuple(field.name for field in fields(Geometry))


def swap(model: Model, plan: Plan, example: Example | None = None) -> tuple[Model, Plan]:
    """Copy ``model`` with the channels that ``plan`` leaves, and its Ghost modules.

    Given an example, the copy is run in evaluation and in training mode. A Ghost module or width
    that breaks the outputs' structure or shapes is found by bisection and put back.

    Returns:
        The copy, and the plan with the reason for each change that was put back.

    Raises:
        GhostifyError: if the plan does not fit the model, or changes nothing.
    """
    expected = [] if example is None else reference_outputs(model, example)
    if example is not None and plan.widths:
        _check_regions(model, plan, example)
    while True:
        _check(model, plan)
        converted = _swapped(model, plan)
        broken = _broken(model, expected, converted, plan)
        if not broken:
            return converted, plan
        plan = _put_back(plan, {change: _PUT_BACK + why for change, why in broken.items()})


def _check_regions(model: nn.Module, plan: Plan, example: Example) -> None:
    """Check that the dropped channels are read by the layers that the plan says, and no others."""
    flow = trace_dataflow(model, example)
    for decision in plan.decisions:
        name, region = decision.site.name, decision.site.region
        if decision.width is None or region is None or name not in flow.steps:
            continue
        try:
            found = find_region(model, flow, name)
        except NoRegionError as error:
            raise GhostifyError(f"the plan drops channels of {name}, which are {error}") from error
        if any(
            set(getattr(found, layers)) != set(getattr(region, layers))
            for layers in ("channelwise", "gates", "readers")
        ):
            raise GhostifyError(
                f"the plan was made for another network: other layers read {name} here; plan again"
            )


def _check(model: nn.Module, plan: Plan) -> None:
    """Check the whole plan against the model, before anything is made."""
    modules = dict(model.named_modules())
    for decision in plan.decisions:
        site = decision.site
        if site.name not in modules and (decision.changes or not site.functional):
            raise GhostifyError(
                f"the plan names {site.name}, which the model lacks{near(site.name, modules)}"
            )
        if decision.changes:
            _check_replaceable(modules[site.name], site)
    check_widths(model, plan)
    if plan.changed:
        return
    put_back = {d.site.unprunable for d in plan.decisions if _PUT_BACK in (d.site.unprunable or "")}
    reasons = sorted(filter(None, {d.keep for d in plan.decisions} | put_back))
    if len(reasons) > 3:  # those of times differ from layer to layer
        reasons[2:] = [f"{len(reasons) - 2} more"]
    advice = "; try another `runtime`" if any("not faster" in r for r in reasons) else ""
    raise GhostifyError(
        f"nothing to replace in {type(model).__name__}: "
        + (f"every convolution is kept ({'; '.join(reasons)})" if reasons else "no convolution")
        + advice
    )


def _check_replaceable(module: nn.Module, site: ConvSite) -> None:
    if reason := own_ineligible_reason(module):
        raise GhostifyError(f"the plan changes {site.name}, which cannot be replaced: {reason}")
    geometry = Geometry.of(module)
    if geometry == site.geometry:
        return
    difference = ""
    if str(geometry) == str(site.geometry):
        values = ((n, getattr(site.geometry, n), getattr(geometry, n)) for n in _GEOMETRY)
        name, there, here = next(value for value in values if value[1] != value[2])
        difference = f" ({name} {there!r} there, {here!r} here)"
    raise GhostifyError(
        f"the plan was made for another {site.name}: {site.geometry} there, {geometry} here"
        + difference
    )


def _swapped(model: Model, plan: Plan) -> Model:
    """Copy ``model``; Ghost modules hold the first m filters of each narrowed convolution."""
    exchange = narrowed_layers(model, plan)
    for name, ghost in plan.replaced.items():
        original = model.get_submodule(name)
        conv: Any = exchange.get(original, original)
        primary = first_filters(conv, ghost.intrinsic(conv.out_channels))
        module = GhostModule.from_primary(primary, conv.out_channels, ghost)
        exchange[original] = module.train(conv.training)
    converted = copy_model(model, exchange)
    fuse_around_ghosts(converted)
    return converted


def _broken(
    model: Model, expected: list[ReferenceOutput], converted: Model, plan: Plan
) -> dict[_Change, str]:
    """The changes that break the converted model, each with what happens."""
    changes = _changes(plan)

    def fault_of(some: Iterable[_Change]) -> str | None:
        others = dict.fromkeys(set(changes).difference(some), "not tried")
        trial = _swapped(model, _put_back(plan, others)) if others else converted
        return next(filter(None, (e.mismatch(trial) for e in expected)), None)

    return bisect_failures(changes, fault_of)


def _changes(plan: Plan) -> list[_Change]:
    return [
        (decision.site.name, what)
        for decision in plan.decisions
        for what in ("ghost", "width")
        if getattr(decision, what) is not None
    ]


def _put_back(plan: Plan, reasons: Mapping[_Change, str]) -> Plan:
    """Return the plan without some of its changes, each with its reason."""

    def without(decision: Decision) -> Decision:
        site = decision.site
        if reason := reasons.get((site.name, "ghost")):
            decision = replace(decision, ghost=None, keep=reason)
        if reason := reasons.get((site.name, "width")):
            site = replace(site, region=None, unprunable=reason)
            decision = replace(decision, site=site, width=None, channels=None)
        return decision

    return Plan(tuple(map(without, plan.decisions)))
