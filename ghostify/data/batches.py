"""What a loader gives at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from ghostify.spec import Example

_LABELS = ("labels", "label", "targets", "target")


def split_labels(batch: Any) -> tuple[Example, Tensor | None]:
    """What the network is called with, and the labels where the batch has some.

    Of a pair the second is labels: whole numbers ``(B)`` or shares ``(B, classes)``. Targets of
    detectors, which are no tensor, are left out. In a mapping they have a usual name
    (``labels``, ``label``, ``targets``, ``target``). Anything else is inputs alone.
    """
    if isinstance(batch, Mapping):
        name = next((name for name in _LABELS if name in batch), None)
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
    """Whether it is an input, and no labels: maps of labels hold whole numbers."""
    return isinstance(value, Tensor) and value.is_floating_point() and value.dim() > 2
