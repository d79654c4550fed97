"""Why a convolution cannot be replaced by a Ghost module: short rules, checked in order.

Each rule returns a reason or None. A convolution that passes all rules can be replaced.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.jit import ScriptModule
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.utils.parametrize import is_parametrized

from ghostify.analysis.conv_filters import has_independent_filters
from ghostify.analysis.conv_info import is_ghost
from ghostify.nn.hooks import has_hooks


@dataclass(frozen=True)
class ConvContext:
    """A convolution module and the facts of its model that decide whether it is eligible.

    Attributes:
        name: qualified name; empty if the model is this convolution.
        parents: modules around it, the outermost first.
        called: whether a pass in evaluation mode calls it.
        called_in_training: whether a pass in training mode calls it.
        read_elsewhere: whether its weight is used outside its own forward.
        shared: whether another module holds one of its parameters.
    """

    name: str
    module: nn.Module
    parents: tuple[nn.Module, ...]
    called: bool
    called_in_training: bool
    read_elsewhere: bool
    shared: bool


def ineligible_reason(conv: ConvContext) -> str | None:
    """Return why a Ghost module cannot take the place of ``conv``, or None if it can."""
    return own_ineligible_reason(conv.module) or _first_reason(CONTEXT_RULES, conv)


def own_ineligible_reason(module: nn.Module) -> str | None:
    """Return the reason that holds wherever ``module`` is, or None."""
    return _first_reason(MODULE_RULES, module)


def _first_reason(rules: tuple[Callable[[Any], str | None], ...], subject: Any) -> str | None:
    return next(filter(None, (rule(subject) for rule in rules)), None)


def _scripted(module: nn.Module) -> str | None:
    return "scripted by torch.jit" if isinstance(module, ScriptModule) else None


def _class(module: nn.Module) -> str | None:
    if isinstance(module, _ConvTransposeNd):
        return "transposed convolution"
    if isinstance(module, _ConvNd) and not isinstance(module, nn.Conv2d):
        return f"{len(module.kernel_size)}-D convolution"
    if not isinstance(module, nn.Conv2d):
        return f"{type(module).__name__}, which is not a Conv2d"
    return None


def _groups(module: Any) -> str | None:
    if module.groups == 1:
        return None
    return "depthwise" if module.groups == module.in_channels else "grouped convolution"


def _hooks(module: nn.Module) -> str | None:
    if is_parametrized(module):
        return "parametrized (such as weight norm or spectral norm)"
    if has_hooks(module) or any(p._backward_hooks for p in module.parameters(recurse=False)):
        return "has hooks (such as weight norm, pruning or your own)"
    return None


def _forward(module: nn.Module) -> str | None:
    if {"forward", "_conv_forward"} & vars(module).keys():
        return "its forward is patched"
    if has_independent_filters(module):
        return None
    return f"{type(module).__name__}, a Conv2d that overrides forward"


def _place(conv: ConvContext) -> str | None:
    if not conv.name:
        return "the model is this convolution itself"
    return "part of a Ghost module" if any(map(is_ghost, conv.parents)) else None


def _weight_reads(conv: ConvContext) -> str | None:
    return "its weight is read outside its own call" if conv.read_elsewhere else None


def _calls(conv: ConvContext) -> str | None:
    if conv.called:
        return None
    return (
        "called in training mode only" if conv.called_in_training else "never called on this input"
    )


def _shared_weight(conv: ConvContext) -> str | None:
    return "shares its weight with another module" if conv.shared else None


MODULE_RULES = (_scripted, _class, _groups, _hooks, _forward)
CONTEXT_RULES = (_place, _weight_reads, _calls, _shared_weight)
