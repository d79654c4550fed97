"""Why a Ghost module cannot take a convolution's place. One short rule each; the first one speaks.

A rule answers None where it has nothing against the convolution. The list is total: what passes
all of it can be replaced.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from torch import nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from ghostify.analysis.graph import Observation


@dataclass(frozen=True)
class Candidate:
    """A convolution module, its name, and what is known of the model around it."""

    name: str
    module: _ConvNd
    model: nn.Module
    seen: Observation
    sharers: dict[int, set[str]]


def find_obstacle(candidate: Candidate) -> str | None:
    """The first rule's objection, or None if a Ghost module can stand here."""
    return next(filter(None, (rule(candidate) for rule in RULES)), None)


def parameter_owners(model: nn.Module) -> dict[int, set[str]]:
    """For each parameter (by id) the names of the modules that hold it themselves."""
    owners: dict[int, set[str]] = defaultdict(set)
    for name, module in model.named_modules():
        for parameter in module.parameters(recurse=False):
            owners[id(parameter)].add(name)
    return owners


def _kind(candidate: Candidate) -> str | None:
    module = candidate.module
    if isinstance(module, _ConvTransposeNd):
        return "transposed convolution"
    if not isinstance(module, nn.Conv2d):
        return f"{len(module.kernel_size)}-D convolution"
    if type(module) is not nn.Conv2d:
        return f"{type(module).__name__}, a subclass of Conv2d whose forward may differ"
    return None


def _groups(candidate: Candidate) -> str | None:
    module = candidate.module
    if module.groups == 1:
        return None
    return "depthwise" if module.groups == module.in_channels else "grouped convolution"


def _hooks(candidate: Candidate) -> str | None:
    module = candidate.module
    hooked = module._forward_hooks or module._forward_pre_hooks or module._backward_hooks
    return "carries hooks (such as weight norm, pruning or your own)" if hooked else None


def _readers(candidate: Candidate) -> str | None:
    read = candidate.name in candidate.seen.readers
    return "its weight is read outside its own call" if read else None


def _calls(candidate: Candidate) -> str | None:
    if candidate.name in candidate.seen.convolutions:
        return None
    path = candidate.name
    while path:
        path = path.rpartition(".")[0]
        if path in candidate.seen.leaves:
            around = type(candidate.model.get_submodule(path)).__name__
            return f"inside {around}, which is not looked into"
    return "not called in evaluation mode"


def _sharing(candidate: Candidate) -> str | None:
    shared = any(
        len(candidate.sharers[id(parameter)]) > 1
        for parameter in candidate.module.parameters(recurse=False)
    )
    return "shares its weight with another module" if shared else None


def _single_output(candidate: Candidate) -> str | None:
    return "one output map: no ghosts to make" if candidate.module.out_channels == 1 else None


RULES: tuple[Callable[[Candidate], str | None], ...] = (
    _kind,
    _groups,
    _hooks,
    _readers,
    _calls,
    _sharing,
    _single_output,
)
