"""Layers whose maps are the last term of a sum, and can make up for what its others have become."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from ghostify.analysis.dataflow import Dataflow, Step, Value

_ADDITIONS = frozenset({torch.add, Tensor.add, Tensor.add_})
"""What ``a + b`` and ``a += b`` call, too."""

_SUMS = frozenset({torch.ops.aten.add.Tensor, torch.ops.aten.add_.Tensor})

_SMALL = 0.05

Key = TypeVar("Key")


@dataclass
class Term(Generic[Key]):
    """The maps of a layer on their way to a sum.

    Attributes:
        key: what they were followed by.
        maps: as they are now, perhaps normalised.
        normalise: what has become of the layer's own output since.
    """

    key: Key
    maps: Tensor
    normalise: Callable[[Tensor], Tensor]


class Branches(TorchFunctionMode, Generic[Key]):
    """Follows maps, through a batch norm or none, up to the sum that they are a term of.

    Args:
        at_sum: called right before the addition with the term, and with the other term's maps.
    """

    def __init__(self, at_sum: Callable[[Term[Key], Tensor], None]) -> None:
        super().__init__()
        self.at_sum = at_sum
        self._terms: dict[int, Term[Key]] = {}

    def follow(self, key: Key, output: Tensor) -> None:
        """Begin with a layer's output."""
        self._terms[id(output)] = Term(key, output, lambda maps: maps)

    def term(self, value: Any) -> Term[Key] | None:
        """That of these maps, if they are followed."""
        return self._terms.get(id(value))

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if self._terms and function in _ADDITIONS and len(args) == 2 and not kwargs:
            for mine, other in (args, args[::-1]):
                term = self.term(mine)
                if term and isinstance(other, Tensor) and other.shape == mine.shape:
                    self._forget(term.key)
                    self.at_sum(term, other)
        result = function(*args, **kwargs)
        if function is F.batch_norm and (term := self.term(args[0])):
            self._terms[id(result)] = Term(
                term.key, result, lambda maps: function(maps, *args[1:], **kwargs)
            )
        return result

    def _forget(self, key: Key) -> None:
        self._terms = {place: term for place, term in self._terms.items() if term.key != key}


def last_terms(flow: Dataflow) -> frozenset[str]:
    """Convolutions that are added to something, and run after all that it is made of.

    Nothing but the sum reads their maps: directly, or through the batch norm that follows them.
    """
    norms = flow.following_norms()
    found: set[str] = set()
    latest = None
    for step in flow.sequence:
        if step.layer and step.layer not in norms.values():
            latest = step
        elif latest and step.operation in _SUMS and "alpha" not in step.kwargs:
            maps = _maps_of(latest, flow, norms.get(latest.layer))
            first, *others = dict.fromkeys(step.inputs)
            if maps in (first, *others) and [v.shape for v in others] == [first.shape]:
                found.add(latest.layer)
    return frozenset(found)


def _maps_of(step: Step, flow: Dataflow, norm: str | None) -> Value | None:
    """What a layer gives to the one step that reads it, behind the batch norm if there is one."""
    for layer in filter(None, (step.layer, norm)):
        steps = flow.steps[layer]
        values = [value for only in steps for value in only.outputs]
        if len(steps) != 1 or len(values) != 1 or len(set(values[0].consumers)) != 1:
            return None
    return values[0] if len(values[0].shape) == 4 else None


def worth(norm: nn.Module | None, channels: int) -> Tensor:
    """``(n,)``: what one unit of the sum is in a layer's maps, before the batch norm behind it.

    Nothing where the batch norm lets hardly anything of a map through.
    """
    if norm is None:
        return torch.ones(channels)
    scale = (norm.get_buffer("running_var") + norm.eps).rsqrt()  # type: ignore[operator]
    if isinstance(norm.weight, Tensor):
        scale = scale * norm.weight.detach()
    enough = scale.abs() > _SMALL * scale.abs().quantile(0.75)
    return torch.where(enough, 1 / scale, torch.zeros_like(scale))
