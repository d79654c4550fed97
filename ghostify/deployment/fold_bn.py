"""Batch norms folded into the layers that they alone read."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.parametrize import is_parametrized

from ghostify.analysis.conv_filters import is_plain_conv
from ghostify.analysis.dataflow import Dataflow, is_norm
from ghostify.nn import Affine, CheapOperation, DeployedGhostModule, GhostModule
from ghostify.nn.hooks import has_hooks

WITH_ACTIVATION = {
    "timm.layers.norm_act.BatchNormAct2d",
    "timm.layers.norm_act.FrozenBatchNormAct2d",
}
"""Batch norms that go on with their own ``drop`` and ``act``."""


def foldable(model: nn.Module, flow: Dataflow) -> dict[str, str]:
    """By the name of a layer, the batch norm that can be folded into it.

    A convolution and a Ghost module take one that acts on their maps, a linear layer one that acts
    on its features. Layers with hooks, or with weights that are not simply a parameter or that
    others use too, take none.
    """
    return {
        layer: norm
        for layer, norm in flow.following_norms().items()
        if not _is_shared(layer, flow)
        and not _is_shared(norm, flow)
        and _is_plain_norm(model.get_submodule(norm))
        and _takes_up(model.get_submodule(layer), model.get_submodule(norm), flow, layer)
    }


def fold(model: nn.Module, norms: Mapping[str, str]) -> dict[nn.Module, nn.Module]:
    """Fold batch norms of ``model``, in place, into the layers before them.

    Args:
        model: a copy that may be changed, in evaluation mode.
        norms: of `foldable`.

    Returns:
        modules of ``model``, and what has to take their places. All Ghost modules are among them.
    """
    swaps: dict[nn.Module, nn.Module] = {}
    for name, layer in model.named_modules():
        norm = model.get_submodule(norms[name]) if name in norms else None
        if norm is not None:
            swaps[norm] = _what_follows(norm)
        if isinstance(layer, GhostModule):
            if not has_hooks(layer):
                _fold_halves(layer)
                swaps[layer] = DeployedGhostModule.from_module(
                    layer, None if norm is None else Affine.from_norm(norm)
                )
        elif norm is not None:
            _absorb(layer, Affine.from_norm(norm))
    return swaps


def is_plain_layer(layer: nn.Module) -> bool:
    """Whether it does nothing but convolve or multiply with its weight, and add its bias."""
    if is_parametrized(layer) or has_hooks(layer):
        return False
    if isinstance(layer, nn.Conv2d):
        return is_plain_conv(layer)
    return type(layer) is nn.Linear


def _is_shared(name: str, flow: Dataflow) -> bool:
    return any(other == name or other.startswith(f"{name}.") for other in flow.shared)


def _is_plain_norm(norm: nn.Module) -> bool:
    if is_parametrized(norm) or has_hooks(norm) or norm.training:
        return False
    kind = type(norm)
    return (
        kind.__module__.startswith("torch.nn.modules.")
        or (isinstance(norm, _BatchNorm) and kind.forward is _BatchNorm.forward)
        or kind.__name__ == "FrozenBatchNorm2d"
        or _goes_on(norm)
    )


def _goes_on(norm: nn.Module) -> bool:
    return f"{type(norm).__module__}.{type(norm).__qualname__}" in WITH_ACTIVATION


def _what_follows(norm: nn.Module) -> nn.Module:
    if not _goes_on(norm):
        return nn.Identity()
    return nn.Sequential(norm.get_submodule("drop"), norm.get_submodule("act"))


def _takes_up(layer: nn.Module, norm: nn.Module, flow: Dataflow, name: str) -> bool:
    if isinstance(layer, GhostModule):
        linear = len(layer.primary_conv) == len(layer.cheap_operation) == 1
        return linear and not has_hooks(layer) and _alike(layer.cheap_operation[0], norm)
    dims = 2 if isinstance(layer, nn.Linear) else 4
    batched = all(len(value.shape) == dims for step in flow.steps[name] for value in step.outputs)
    return batched and _is_plain(layer) and _alike(layer, norm)


def _is_plain(layer: nn.Module) -> bool:
    """Whether its weight can take up a scale, of its outputs."""
    cheap = isinstance(layer, CheapOperation)
    return not has_hooks(layer) if cheap else is_plain_layer(layer)


def _alike(layer: nn.Module, norm: nn.Module) -> bool:
    """Whether both compute with numbers of one kind."""
    kind = layer.get_parameter("weight").dtype
    return kind.is_floating_point and norm.get_buffer("running_mean").dtype == kind


def _fold_halves(ghost: GhostModule) -> None:
    """Fold the batch norms inside of a Ghost module, those of its activated flavour."""
    for half in (ghost.primary_conv, ghost.cheap_operation):
        operation, *rest = half
        if not rest or not is_norm(rest[0]) or not _is_plain_norm(rest[0]):
            continue
        if _is_plain(operation) and _alike(operation, rest[0]):
            _absorb(operation, Affine.from_norm(rest[0]))
            half[1] = _what_follows(rest[0])


def _absorb(layer: nn.Module, norm: Affine) -> None:
    weight, bias = norm.fold_into(layer.get_parameter("weight"), layer.bias)  # type: ignore[arg-type]
    layer.weight = nn.Parameter(weight, requires_grad=False)
    layer.bias = nn.Parameter(bias, requires_grad=False)
