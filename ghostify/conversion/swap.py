"""Put Ghost modules in place of convolutions, and verify that the model still runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from torch import nn

from ghostify.analysis.convolutions import first_filters
from ghostify.analysis.eligibility import own_ineligible_reason
from ghostify.analysis.model_copy import copy_model
from ghostify.analysis.verification import ReferenceOutput, bisect_failures, reference_outputs
from ghostify.nn import GhostModule
from ghostify.types import ConvSite, Example, Geometry, GhostifyError, GhostSpec, Plan
from ghostify.types.errors import near

Model = TypeVar("Model", bound=nn.Module)

_UNPRINTED = ("padding", "bias", "padding_mode")
"""Fields that the text of a `Geometry` does not show."""


def swap(model: Model, plan: Plan, example: Example | None = None) -> tuple[Model, Plan]:
    """Copy ``model`` with the Ghost modules of ``plan`` in place of convolutions.

    Given an example, the copy is run in evaluation and in training mode. A site that breaks the
    outputs' structure or shapes is found by bisection and put back.

    Returns:
        The copy, and the plan with the reason for each site that was put back.

    Raises:
        GhostifyError: if the plan does not fit the model, or replaces nothing.
    """
    expected = [] if example is None else reference_outputs(model, example)
    while True:
        replaced = _check(model, plan)
        converted = _swapped(model, replaced)
        broken = _broken(model, expected, converted, replaced)
        if not broken:
            return converted, plan
        plan = plan.keeping({name: f"put back: {why}" for name, why in broken.items()})


def _check(model: nn.Module, plan: Plan) -> dict[str, GhostSpec]:
    """Check the whole plan against the model, before anything is made."""
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
        if len(reasons) > 3:  # those of times differ from layer to layer
            reasons[2:] = [f"{len(reasons) - 2} more"]
        advice = "; try another `runtime`" if any("not faster" in r for r in reasons) else ""
        raise GhostifyError(
            f"nothing to replace in {type(model).__name__}: "
            + (f"every convolution is kept ({'; '.join(reasons)})" if reasons else "no convolution")
            + advice
        )
    return replaced


def _check_replaceable(module: nn.Module, site: ConvSite) -> None:
    if reason := own_ineligible_reason(module):
        raise GhostifyError(f"the plan replaces {site.name}, which cannot be replaced: {reason}")
    geometry = Geometry.of(module)
    if geometry == site.geometry:
        return
    difference = ""
    if str(geometry) == str(site.geometry):
        values = ((n, getattr(site.geometry, n), getattr(geometry, n)) for n in _UNPRINTED)
        name, there, here = next(value for value in values if value[1] != value[2])
        difference = f" ({name} {there!r} there, {here!r} here)"
    raise GhostifyError(
        f"the plan was made for another {site.name}: {site.geometry} there, {geometry} here"
        + difference
    )


def _swapped(model: Model, replaced: Mapping[str, GhostSpec]) -> Model:
    """Copy ``model`` with Ghost modules that hold the first m filters of each convolution."""
    exchange = {}
    for name, ghost in replaced.items():
        conv: Any = model.get_submodule(name)
        primary = first_filters(conv, ghost.intrinsic(conv.out_channels))
        module = GhostModule.from_primary(primary, conv.out_channels, ghost)
        exchange[conv] = module.train(conv.training)
    return copy_model(model, exchange)


def _broken(
    model: Model,
    expected: list[ReferenceOutput],
    converted: Model,
    replaced: Mapping[str, GhostSpec],
) -> dict[str, str]:
    """The sites that break the converted model, each with what happens."""

    def fault_of(names: Iterable[str]) -> str | None:
        some = {name: replaced[name] for name in names}
        trial = converted if len(some) == len(replaced) else _swapped(model, some)
        return next(filter(None, (e.mismatch(trial) for e in expected)), None)

    return bisect_failures(list(replaced), fault_of)
