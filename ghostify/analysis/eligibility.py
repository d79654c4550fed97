"""Why a convolution cannot be replaced by a Ghost module. The first reason found is reported."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn
from torch.jit import ScriptModule
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.utils.parametrize import is_parametrized

from ghostify.analysis.convolutions import has_independent_filters, is_ghost
from ghostify.nn.hooks import has_hooks


def ineligible_reason(
    module: nn.Module,
    name: str,
    parents: Iterable[nn.Module],
    *,
    primary: bool,
    called: bool,
    called_in_training: bool,
    read_elsewhere: bool,
    shared: bool,
) -> str | None:
    """Return why a Ghost module cannot take the place of a convolution, or None if it can.

    Args:
        module: the convolution.
        name: its qualified name; empty if the model is this convolution.
        parents: modules around it.
        primary: whether it makes the intrinsic feature maps of a Ghost module (`ghost_structure`).
        called: whether a pass in evaluation mode calls it.
        called_in_training: whether a pass in training mode calls it.
        read_elsewhere: whether its weight is used outside its own forward.
        shared: whether another module holds one of its parameters.
    """
    if reason := own_ineligible_reason(module):
        return reason
    if not name:
        return "the model is this convolution itself"
    if primary or any(map(is_ghost, parents)):
        return "part of a Ghost module"
    if read_elsewhere:
        return "its weight is read outside its own call"
    if not called:
        only = "called in training mode only"
        return only if called_in_training else "never called on this input"
    return "shares its weight with another module" if shared else None


def own_ineligible_reason(module: nn.Module) -> str | None:
    """Return the reason that holds wherever ``module`` is, or None."""
    kind = type(module).__name__
    if isinstance(module, ScriptModule):
        return "scripted by torch.jit"
    if isinstance(module, _ConvTransposeNd):
        return "transposed convolution"
    if isinstance(module, _ConvNd) and not isinstance(module, nn.Conv2d):
        return f"{len(module.kernel_size)}-D convolution"
    if not isinstance(module, nn.Conv2d):
        return f"{kind}, which is not a Conv2d"
    if module.groups > 1:
        return "depthwise" if module.groups == module.in_channels else "grouped convolution"
    if is_parametrized(module):
        return "parametrized (such as weight norm or spectral norm)"
    if has_hooks(module) or any(p._backward_hooks for p in module.parameters(recurse=False)):
        return "has hooks (such as weight norm, pruning or your own)"
    if {"forward", "_conv_forward"} & vars(module).keys():
        return "its forward is patched"
    if not has_independent_filters(module):
        return f"{kind}, a Conv2d that overrides forward"
    return None
