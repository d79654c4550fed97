"""Layers whose maps are the last term of a sum, and can make up for what its others have become."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from ghostify.dry_run import Passage, dry_run
from ghostify.spec import Example

_ADDITIONS = frozenset({torch.add, Tensor.add, Tensor.add_})
"""What ``a + b`` and ``a += b`` call, too."""

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


def last_terms(model: nn.Module, example: Example, followers: Mapping[str, str]) -> frozenset[str]:
    """Convolutions that are added to something, and run after all that it is made of.

    Nothing but the sum reads their maps: directly, or through the batch norm that follows them.

    Args:
        followers: by the name of a layer, the batch norm that alone reads it.
    """
    outcome = dry_run(model, example, watch=_Terms)
    watch = outcome.watch
    watch.read(tree_leaves(outcome.output))
    return frozenset(
        name
        for name in watch.found
        if watch.calls[name] == 1 and watch.reads[name] == (2 if name in followers else 1)
    )


def worth(norm: nn.Module | None, channels: int) -> Tensor:
    """``(n,)``: what one unit of the sum is in a layer's maps, before the batch norm behind it.

    Nothing where the batch norm lets hardly anything of a map through.
    """
    if norm is None:
        return torch.ones(channels)
    scale = (norm.get_buffer("running_var") + norm.eps).rsqrt()  # type: ignore[operator]
    if isinstance(norm.weight, Tensor):
        scale = scale * norm.weight.detach()
    enough = scale.abs() > _SMALL * scale.abs().mean()
    return torch.where(enough, 1 / scale, torch.zeros_like(scale))


class _Terms(Passage):
    """Sees which layers end in a sum.

    Attributes:
        found: their names.
        calls: how often each layer was called.
        reads: how often something has used each layer's maps, or what a batch norm made of them.
    """

    def __init__(self, replica: nn.Module) -> None:
        super().__init__(replica)
        self.found: set[str] = set()
        self.calls: Counter[str] = Counter()
        self.reads: Counter[str] = Counter()
        self._latest = ""
        self._made: dict[int, Term[str]] = {}
        self._branches = _Reading(self)

    def __enter__(self) -> _Terms:
        super().__enter__()
        self._open.enter_context(self._branches)
        return self

    def left(self, module: nn.Module, inputs: tuple[Any, ...], result: Any) -> None:
        if isinstance(module, (nn.Conv2d, nn.Linear)) and isinstance(result, Tensor):
            self._latest = self.names[module]
            self.calls[self._latest] += 1
            if isinstance(module, nn.Conv2d) and result.dim() == 4:
                self._branches.follow(self._latest, result)

    def read(self, values: list[Any]) -> None:
        for value in values:
            if term := self._made.get(id(value)):
                self.reads[term.key] += 1

    def at_sum(self, term: Term[str], other: Tensor) -> None:
        if term.key == self._latest:
            self.found.add(term.key)


class _Reading(Branches[str]):
    """Counts on the way who reads what."""

    def __init__(self, watch: _Terms) -> None:
        super().__init__(watch.at_sum)
        self.watch = watch

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        made = self.watch._made
        made.update(self._terms)
        values = tree_leaves((args, kwargs))
        result = super().__torch_function__(function, types, args, kwargs)
        if any(isinstance(leaf, Tensor) for leaf in tree_leaves(result)):
            self.watch.read(values)
        for value in values:
            if value is result:  # written in place: it is the sum now
                made.pop(id(value), None)
        return result
