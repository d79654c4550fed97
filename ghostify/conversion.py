"""Act on a plan: a copy of the model with Ghost modules in place of convolutions."""

from __future__ import annotations

from typing import TypeVar, cast

from torch import nn

from ghostify import planning
from ghostify.analysis import analyze
from ghostify.layers import CheapOperation, GhostModule
from ghostify.replica import replica
from ghostify.spec import ConvSite, Example, Geometry, GhostifyError, GhostSpec, Plan
from ghostify.spec.errors import near

Model = TypeVar("Model", bound=nn.Module)


def convert(
    model: Model,
    example: Example | None = None,
    *,
    plan: Plan | None = None,
    ratio: float | None = None,
    dw_size: int | None = None,
) -> Model:
    """Copy ``model`` and put Ghost modules in place of its convolutions.

    The result is of the model's own class. What is not replaced keeps its name and its weights. A
    Ghost module keeps the first m filters of its convolution; its cheap kernels are random, drawn
    from torch's default generator as ``nn.Conv2d`` draws its own, so the network has to be trained
    before use. ``model`` itself is never changed.

    Args:
        model: the network to convert.
        example: an input to find shapes with, as in `analyze`; not needed with ``plan``.
        plan: what to do, from `plan`. Without one, the uniform plan for ``ratio`` and ``dw_size``.
        ratio: s of the uniform plan.
        dw_size: d of the uniform plan.

    Raises:
        GhostifyError: if the plan does not fit the model, or replaces nothing; if both a plan and
            numbers for one are given; and as `analyze` and `plan` do.
    """
    numbers = {
        key: value
        for key, value in {"ratio": ratio, "dw_size": dw_size}.items()
        if value is not None
    }
    if plan is None:
        if example is None:
            raise GhostifyError("convert needs an example input, or a plan made with one")
        plan = planning.plan(analyze(model, example), **numbers)  # type: ignore[arg-type]
    elif numbers:
        raise GhostifyError(f"the plan already says {' and '.join(numbers)}: give one or the other")
    replaced = _check(model, plan)
    converted = replica(
        model, {conv: _ghost_module(conv, ghost) for conv, ghost in replaced.items()}
    )
    plan.attach(converted)
    return converted


def _check(model: nn.Module, plan: Plan) -> dict[nn.Conv2d, GhostSpec]:
    """All of the plan against the model, before anything is made."""
    modules = dict(model.named_modules())
    replaced = {}
    for decision in plan.decisions:
        site = decision.site
        if site.name not in modules and not site.functional:
            raise GhostifyError(
                f"the plan names {site.name}, which the model lacks{near(site.name, modules)}"
            )
        if decision.ghost is not None:
            replaced[_replaceable(modules[site.name], site)] = decision.ghost
    if not replaced:
        reasons = sorted({d.keep for d in plan.decisions if d.keep})
        raise GhostifyError(
            f"nothing to replace in {type(model).__name__}: "
            + (f"every convolution is kept ({'; '.join(reasons)})" if reasons else "no convolution")
        )
    return replaced


def _replaceable(module: nn.Module, site: ConvSite) -> nn.Conv2d:
    if type(module) is not nn.Conv2d:
        raise GhostifyError(
            f"the plan replaces {site.name}, which is a {type(module).__name__}, not a Conv2d"
        )
    if (geometry := Geometry.of(module)) != site.geometry:
        raise GhostifyError(
            f"the plan was made for another {site.name}: {site.geometry} there, {geometry} here"
            + _other_difference(site.geometry, geometry)
        )
    return module


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


def _ghost_module(conv: nn.Conv2d, ghost: GhostSpec) -> GhostModule:
    """A Ghost module for the place of ``conv``, with the first m of its filters."""
    module = GhostModule(
        conv.in_channels,
        conv.out_channels,
        conv.kernel_size,  # type: ignore[arg-type]
        conv.stride,  # type: ignore[arg-type]
        conv.padding,  # type: ignore[arg-type]
        conv.dilation,  # type: ignore[arg-type]
        conv.bias is not None,
        conv.padding_mode,
        ratio=ghost.ratio,
        dw_size=ghost.dw_size,
        device="meta",
        dtype=conv.weight.dtype,
    )
    primary = cast(nn.Conv2d, module.primary_conv[0])
    cheap = cast(CheapOperation, module.cheap_operation[0])
    for name, values in conv.named_parameters():
        kept = values.detach()[: primary.out_channels].clone()
        setattr(primary, name, nn.Parameter(kept))
    cheap.to_empty(device=conv.weight.device).reset_parameters()
    return module.train(conv.training)
