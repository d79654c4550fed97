"""Run a network over batches of data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sized
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from ghostify.io.progress import progress_bar
from ghostify.types import Example, split_example
from ghostify.types.progress import ShowProgress

_LABEL_NAMES = ("labels", "label", "targets", "target")


def split_labels(batch: Any) -> tuple[Example, Tensor | None]:
    """Split a batch into the inputs of the network and the labels, if it has some.

    The labels are the second of a pair: class indices ``(B)`` or probabilities ``(B, classes)``. In
    a mapping they are named ``labels``, ``label``, ``targets`` or ``target``. Targets of detectors
    are dropped. Anything else is inputs alone.
    """
    if isinstance(batch, Mapping):
        name = next((name for name in _LABEL_NAMES if name in batch), None)
        inputs = {key: value for key, value in batch.items() if key != name}
        labels = batch[name] if name else None
        return inputs, labels if isinstance(labels, Tensor) else None
    if not isinstance(batch, list | tuple):
        return batch, None
    if len(batch) == 1 and isinstance(batch[0], Tensor) and batch[0].dim() != 3:
        return batch[0], None
    if len(batch) != 2 or _is_image(batch[1]):
        return batch, None
    inputs, labels = batch
    return inputs, labels if isinstance(labels, Tensor) else None


def _is_image(value: Any) -> bool:
    """Whether it is an input; label maps of segmentation hold integers."""
    return isinstance(value, Tensor) and value.is_floating_point() and value.dim() > 2


def with_progress(
    batches: Iterable[Any], task: str, progress: ShowProgress, *, limit: int | None = None
) -> Iterator[Any]:
    """Yield at most ``limit`` batches and show a progress bar."""
    total = len(batches) if isinstance(batches, Sized) else limit
    if total is not None and limit is not None:
        total = min(total, limit)
    with progress_bar(task, progress) as report:
        for done, batch in enumerate(islice(batches, limit), 1):
            yield batch
            report(done, total)


def call(model: nn.Module, inputs: Example) -> Any:
    """Call ``model`` with inputs on any device."""
    device = device_of(model)
    args, kwargs = split_example(tree_map_only(Tensor, lambda tensor: tensor.to(device), inputs))
    return model(*args, **kwargs)


def device_of(model: nn.Module) -> torch.device:
    """Return the device of the first parameter."""
    return next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
