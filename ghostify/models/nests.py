"""Find a network's tensors in a checkpoint, whatever they are nested under and prefixed with."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile

from torch import Tensor, nn

_WRAPPERS = {"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
"""Parts of names that torch.compile, FSDP and activation checkpointing add anywhere."""

_AVERAGED = re.compile(r"(?<![a-z])(ema|averaged?|avg|swa|shadow|polyak)(?![a-z])")
"""What trainers call a moving average of weights, alone or in names such as ``model_ema``."""


@dataclass(frozen=True)
class Nest:
    """The tensors of a checkpoint under one prefix.

    Attributes:
        prefix: nests and prefixes, joined by dots, such as ``state_dict.module``.
        averaged: whether it is named as a moving average.
        fitting: tensors by the network's names, of its shapes.
        mismatched: tensors of other shapes, by the network's names.
        unexpected: tensors that the network lacks, by their names after the prefix.
    """

    prefix: str
    averaged: bool
    fitting: dict[str, Tensor]
    mismatched: dict[str, Tensor]
    unexpected: dict[str, Tensor]

    @property
    def values(self) -> int:
        """How many values of the network it holds."""
        return sum(tensor.numel() for tensor in self.fitting.values())


def find_nests(tensors: Mapping[str, Tensor], model: nn.Module) -> list[Nest]:
    """Return all prefixes under which a checkpoint has tensors of a network, most values first.

    Args:
        tensors: all that the checkpoint holds, by dotted names.
        model: the network.
    """
    own = {n: t for n, t in model.state_dict().items() if isinstance(t, Tensor)}
    names = _names_in_files(own)
    deepest = max((name.count(".") for name in names), default=0) + 1
    found: dict[str, dict[str, str]] = defaultdict(dict)
    tensors = {_unwrapped(name): tensor for name, tensor in tensors.items()}
    for name in tensors:
        parts = name.split(".")
        for start in range(max(len(parts) - deepest, 0), len(parts)):
            known = names.get(".".join(parts[start:]))
            if known is not None:
                found[".".join(parts[:start])].setdefault(known, name)
    distinct = {tuple(places.values()): prefix for prefix, places in [*found.items()][::-1]}
    nests = [_nest(prefix, found[prefix], tensors, own) for prefix in [*distinct.values()][::-1]]
    fitting = [nest for nest in nests if nest.fitting]
    return sorted(fitting, key=lambda nest: nest.values, reverse=True)


def _nest(
    prefix: str, places: dict[str, str], tensors: Mapping[str, Tensor], own: dict[str, Tensor]
) -> Nest:
    fitting: dict[str, Tensor] = {}
    mismatched: dict[str, Tensor] = {}
    for name, place in places.items():
        fits = own[name].shape == tensors[place].shape
        (fitting if fits else mismatched)[name] = tensors[place]
    known = set(places.values())
    start = f"{prefix}." if prefix else ""
    unexpected = {
        name.removeprefix(start): tensor
        for name, tensor in tensors.items()
        if name not in known and name.startswith(start)
    }
    words = re.sub("(?<=[a-z])(?=[A-Z])", "_", prefix).lower()
    averaged = _AVERAGED.search(words) is not None
    return Nest(prefix, averaged, fitting, mismatched, unexpected)


def _names_in_files(own: Mapping[str, Tensor]) -> dict[str, str]:
    """Return the network's names by those that files may have for them.

    Files lack the wrappers, and a prefix that all names have. GhostNetV3's authors have ``.bn.``
    for timm's ``.bn1.``.
    """
    levels = zip(*(name.split(".")[:-1] for name in own), strict=False)
    shared = len(list(takewhile(lambda parts: len({*parts}) == 1, levels)))
    names: dict[str, str] = {}
    for name in own:
        plain, inner = _unwrapped(name), ".".join(name.split(".")[shared:])
        for other in (name, plain, inner, plain.replace(".bn1.", ".bn.")):
            if other == name or other not in own:
                names.setdefault(other, name)
    return names


def _unwrapped(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in _WRAPPERS)
