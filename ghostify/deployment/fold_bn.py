"""Fold BatchNorms into the layers before them."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.parametrize import is_parametrized

from ghostify.analysis.convolutions import is_plain_layer
from ghostify.analysis.dataflow import Dataflow, is_norm
from ghostify.nn import Affine, CheapOperation, DeployedGhostModule, GhostModule
from ghostify.nn.hooks import has_hooks

WITH_ACTIVATION = {
    "timm.layers.norm_act.BatchNormAct2d",
    "timm.layers.norm_act.FrozenBatchNormAct2d",
}
"""BatchNorms that apply their own ``drop`` and ``act`` afterward."""


def foldable_norms(model: nn.Module, flow: Dataflow) -> dict[str, str]:
    """Return the BatchNorm that can be folded into each layer, both by name.

    Layers are convolutions, linear layers and Ghost modules, without hooks, whose weight is a plain
    parameter that nothing else reads.
    """
    return {
        layer: norm
        for layer, norm in flow.following_norms().items()
        if not flow.is_shared(layer)
        and not flow.is_shared(norm)
        and _is_plain_norm(model.get_submodule(norm))
        and _can_absorb(model.get_submodule(layer), model.get_submodule(norm), flow, layer)
    }


def fold_norms(model: nn.Module, norms: Mapping[str, str]) -> dict[nn.Module, nn.Module]:
    """Fold BatchNorms of a copy in evaluation mode into the layers before them, in place.

    Args:
        norms: a part of `foldable_norms`.

    Returns:
        The modules to replace, all Ghost modules among them, with what takes their place.
    """
    swaps: dict[nn.Module, nn.Module] = {}
    for name, layer in model.named_modules():
        norm = model.get_submodule(norms[name]) if name in norms else None
        if norm is not None:
            swaps[norm] = _activation(norm)
        if isinstance(layer, GhostModule):
            if not has_hooks(layer):
                _fold_halves(layer)
                swaps[layer] = DeployedGhostModule.from_module(
                    layer, None if norm is None else Affine.from_norm(norm)
                )
        elif norm is not None:
            _absorb(layer, Affine.from_norm(norm))
    return swaps


def _is_plain_norm(norm: nn.Module) -> bool:
    if is_parametrized(norm) or has_hooks(norm) or norm.training:
        return False
    kind = type(norm)
    return (
        kind.__module__.startswith("torch.nn.modules.")
        or (isinstance(norm, _BatchNorm) and kind.forward is _BatchNorm.forward)
        or kind.__name__ == "FrozenBatchNorm2d"
        or _has_activation(norm)
    )


def _has_activation(norm: nn.Module) -> bool:
    return f"{type(norm).__module__}.{type(norm).__qualname__}" in WITH_ACTIVATION


def _activation(norm: nn.Module) -> nn.Module:
    if not _has_activation(norm):
        return nn.Identity()
    return nn.Sequential(norm.get_submodule("drop"), norm.get_submodule("act"))


def _can_absorb(layer: nn.Module, norm: nn.Module, flow: Dataflow, name: str) -> bool:
    if isinstance(layer, GhostModule):
        linear = len(layer.primary_conv) == len(layer.cheap_operation) == 1
        return linear and not has_hooks(layer) and _same_dtype(layer.cheap_operation[0], norm)
    dims = 2 if isinstance(layer, nn.Linear) else 4
    batched = all(len(value.shape) == dims for step in flow.steps[name] for value in step.outputs)
    return batched and _is_plain(layer) and _same_dtype(layer, norm)


def _is_plain(layer: nn.Module) -> bool:
    return not has_hooks(layer) if isinstance(layer, CheapOperation) else is_plain_layer(layer)


def _same_dtype(layer: nn.Module, norm: nn.Module) -> bool:
    dtype = layer.get_parameter("weight").dtype
    return dtype.is_floating_point and norm.get_buffer("running_mean").dtype == dtype


def _fold_halves(ghost: GhostModule) -> None:
    """Fold the BatchNorms of a Ghost module in the form of the authors' code."""
    for half in (ghost.primary_conv, ghost.cheap_operation):
        operation, *rest = half
        if not rest or not is_norm(rest[0]) or not _is_plain_norm(rest[0]):
            continue
        if _is_plain(operation) and _same_dtype(operation, rest[0]):
            _absorb(operation, Affine.from_norm(rest[0]))
            half[1] = _activation(rest[0])


def _absorb(layer: nn.Module, norm: Affine) -> None:
    weight, bias = norm.fold_into(layer.get_parameter("weight"), layer.bias)  # type: ignore[arg-type]
    layer.weight = nn.Parameter(weight, requires_grad=False)
    layer.bias = nn.Parameter(bias, requires_grad=False)
