"""Why a Ghost module cannot take a convolution's place. One short rule each; the first one speaks.

A rule answers None where it has nothing against the convolution. The list is total: what passes
all of it can be replaced.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.jit import ScriptModule
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.utils.parametrize import is_parametrized

from ghostify.analysis.conv_info import is_ghost
from ghostify.analysis.filterwise import is_filterwise

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


@dataclass(frozen=True)
class Candidate:
    """A convolution module, its name, and what is known of the model around it.

    Attributes:
        name: qualified name; empty if the model is this convolution itself.
        around: the modules it is inside, the outermost first.
        called: whether a pass in evaluation mode called it, and one in training mode.
        read: whether its weight is used outside its own call.
        shared: whether another module holds one of its parameters.
    """

    name: str
    module: nn.Module
    around: tuple[nn.Module, ...]
    called: tuple[bool, bool]
    read: bool
    shared: bool


def ineligible_reason(candidate: Candidate) -> str | None:
    """The first rule's objection, or None if a Ghost module can stand here."""
    own = own_ineligible_reason(candidate.module)
    return own or next(filter(None, (rule(candidate) for rule in RULES_OF_PLACE)), None)


def own_ineligible_reason(module: nn.Module) -> str | None:
    """The first objection that concerns the module alone, whatever is around it."""
    return next(filter(None, (rule(module) for rule in RULES_OF_MODULE)), None)


def parameter_owners(model: nn.Module) -> dict[int, set[str]]:
    """For each parameter (by id) the names of the modules that hold it themselves."""
    owners: dict[int, set[str]] = defaultdict(set)
    for name, module in model.named_modules():
        for parameter in module.parameters(recurse=False):
            owners[id(parameter)].add(name)
    return owners


def _script(module: nn.Module) -> str | None:
    return "scripted by torch.jit" if isinstance(module, ScriptModule) else None


def _kind(module: nn.Module) -> str | None:
    if isinstance(module, _ConvTransposeNd):
        return "transposed convolution"
    if isinstance(module, _ConvNd) and not isinstance(module, nn.Conv2d):
        return f"{len(module.kernel_size)}-D convolution"
    if not isinstance(module, nn.Conv2d):
        return f"{type(module).__name__}, which is no Conv2d"
    return None


def _groups(module: Any) -> str | None:
    if module.groups == 1:
        return None
    return "depthwise" if module.groups == module.in_channels else "grouped convolution"


def _hooks(module: nn.Module) -> str | None:
    if is_parametrized(module):
        return "parametrized (such as weight norm or spectral norm)"
    hooks = [getattr(module, name) for name in _HOOKS]
    hooks += [parameter._backward_hooks for parameter in module.parameters(recurse=False)]
    return "carries hooks (such as weight norm, pruning or your own)" if any(hooks) else None


def _subclass(module: nn.Module) -> str | None:
    if {"forward", "_conv_forward"} & vars(module).keys():
        return "its forward is patched"
    if is_filterwise(module):
        return None
    return f"{type(module).__name__}, a Conv2d with a forward of its own"


def _place(candidate: Candidate) -> str | None:
    if not candidate.name:
        return "the model is this convolution itself"
    return "part of a Ghost module" if any(map(is_ghost, candidate.around)) else None


def _readers(candidate: Candidate) -> str | None:
    return "its weight is read outside its own call" if candidate.read else None


def _calls(candidate: Candidate) -> str | None:
    in_evaluation, in_training = candidate.called
    if in_evaluation:
        return None
    return "called in training mode only" if in_training else "never called on this input"


def _sharing(candidate: Candidate) -> str | None:
    return "shares its weight with another module" if candidate.shared else None


RULES_OF_MODULE: tuple[Callable[[Any], str | None], ...] = (
    _script,
    _kind,
    _groups,
    _hooks,
    _subclass,
)
RULES_OF_PLACE: tuple[Callable[[Candidate], str | None], ...] = (
    _place,
    _readers,
    _calls,
    _sharing,
)
