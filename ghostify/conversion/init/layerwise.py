"""Feed calibration batches through a model whose layers are replaced one after the other.

A runner brings every batch to a pending layer and yields the calls of that layer. Once a layer is
installed there, forward passes continue with its output.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ghostify.conversion.init.residual_sums import ResidualSums, ResidualTerm
from ghostify.types import Example, split_example

Stop = Callable[["PendingLayer", tuple[Any, ...], Tensor | None], None]

_current = threading.local()


class PendingLayer(nn.Module):
    """Placeholder for a layer whose replacement is not known yet.

    Attributes:
        layer: the original layer, later the installed one.
        installed: whether forward passes run through without a stop.
        is_term: whether forward passes stop at the residual sum whose last term this layer
            computes, where the other term is known. The layer then runs again.
    """

    def __init__(self, layer: nn.Module, *, is_term: bool = False) -> None:
        super().__init__()
        self.layer = layer
        self.installed = False
        self.is_term = is_term

    def install(self, layer: nn.Module) -> None:
        self.layer = layer
        self.installed = True

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        if self.installed:
            return self.layer(*args, **kwargs)
        stop: Stop = _current.stop
        if not self.is_term:
            stop(self, args, None)
            return self.layer(*args, **kwargs)
        provisional = self.layer(*args, **kwargs)

        def at_sum(term: ResidualTerm, other: Tensor) -> None:
            stop(self, args, other)
            if self.installed:
                term.feature_maps.copy_(term.normalize(self.layer(*args, **kwargs)))

        _current.sums.follow(provisional, at_sum)
        return provisional


def swap_modules(model: nn.Module, replacements: Mapping[nn.Module, nn.Module]) -> None:
    """Replace submodules in place, under every name that they have."""
    for parent in list(model.modules()):
        for name, child in list(parent._modules.items()):
            if child is not None and child in replacements:
                setattr(parent, name, replacements[child])


def run_forward(model: nn.Module, batch: Example, stop: Stop) -> None:
    """Run ``model``; each layer that is pending calls ``stop(layer, args, other)`` first."""
    args, kwargs = split_example(batch)
    with torch.no_grad(), ResidualSums() as sums:
        _current.stop, _current.sums = stop, sums
        model(*args, **kwargs)


@dataclass(frozen=True)
class Arrival:
    """A call of a pending layer.

    Attributes:
        batch: index of the batch.
        call: index of the call within the batch's forward pass.
        args: positional arguments of the call.
        other: the other term of the residual sum, if the layer computes its last term.
    """

    batch: int
    call: int
    args: tuple[Any, ...]
    other: Tensor | None = None


class LayerwiseRunner(Protocol):
    """Brings all batches to one pending layer after the other, in the order of execution."""

    def arrivals(self, pending: PendingLayer, calls: int = 1) -> Iterator[Arrival]:
        """Yield the calls of ``pending``, batch by batch.

        Args:
            pending: a layer of the model. Forward passes that meet another pending layer first do
                not get there, unless ``calls`` is above 1: then pending layers run as they are.
            calls: the most calls of ``pending`` in one forward pass.
        """

    def close(self) -> None:
        """Drop all forward passes."""
