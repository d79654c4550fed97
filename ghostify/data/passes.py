"""Passes of a network over data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sized
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from ghostify.spec import Example, split_example

Watch = Callable[[int, int | None], None]
"""Called with the number of batches that are done, and of all where that is known."""


def unwatched(done: int, total: int | None) -> None:
    """No progress to be shown."""


def watched(batches: Iterable[Any], progress: Watch, *, limit: int | None = None) -> Iterator[Any]:
    """The batches, ``limit`` at most, with each reported once it is done."""
    total = len(batches) if isinstance(batches, Sized) else limit
    if total is not None and limit is not None:
        total = min(total, limit)
    for done, batch in enumerate(islice(batches, limit), 1):
        yield batch
        progress(done, total)


def call(model: nn.Module, inputs: Example) -> Any:
    """The output of ``model`` for inputs on any device."""
    device = device_of(model)
    args, kwargs = split_example(tree_map_only(Tensor, lambda tensor: tensor.to(device), inputs))
    return model(*args, **kwargs)


def device_of(model: nn.Module) -> torch.device:
    """Where the parameters of ``model`` are."""
    return next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
