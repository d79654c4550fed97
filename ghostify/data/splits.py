"""Images kept back, to see how well the others have served."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ghostify.data.input_matching import is_image_list, likes_of
from ghostify.types import Example, GhostifyError

_FEWEST = 10


def held_out(batches: list[Example], share: int = 5) -> tuple[list[Example], list[Example]]:
    """Batches to fit with, and batches to evaluate with: always the same of the same.

    Every fifth image is held out. Batches that cannot be divided by image, because not all of
    their inputs are tensors of one length or lists of images, are held out whole: every fifth.
    Of fewer than ten images none is.

    Args:
        share: 5 for one in five.

    Raises:
        GhostifyError: if ``share`` is below 2.
    """
    if share < 2:
        raise GhostifyError(f"share={share}: give 2 or more, such as 5 for one in five")
    if sum(map(images_in, batches)) < _FEWEST:
        return list(batches), []
    if not all(map(_divisible, batches)):
        held = batches[share - 1 :: share]
        return [b for i, b in enumerate(batches) if i % share != share - 1], held
    fit, held, start = [], [], 0
    for batch in batches:
        numbers = torch.arange(start, start + images_in(batch))
        start += len(numbers)
        is_held = numbers % share == share - 1
        fit += _chosen(batch, ~is_held)
        held += _chosen(batch, is_held)
    return fit, held


def images_in(batch: Example) -> int:
    """Length of the first input that has one; 1 for a batch that has no such input."""
    return next((len(v) for v in likes_of(batch) if _has_length(v)), 1)


def _has_length(value: Any) -> bool:
    return value.dim() > 0 if isinstance(value, Tensor) else is_image_list(value)


def _divisible(batch: Example) -> bool:
    values = likes_of(batch)
    return all(map(_has_length, values)) and len({len(value) for value in values}) == 1


def _chosen(batch: Example, mask: Tensor) -> list[Example]:
    """The images of ``batch`` where ``mask`` is true, as one batch; none if that is nowhere."""
    index = mask.nonzero().flatten()
    return [_each(batch, lambda value: _at(value, index))] if len(index) else []


def _at(value: Any, index: Tensor) -> Any:
    if isinstance(value, Tensor):
        return value[index.to(value.device)]
    return [value[i] for i in index.tolist()]


def _each(batch: Example, function: Callable[[Any], Any]) -> Example:
    if isinstance(batch, dict):
        return {name: function(value) for name, value in batch.items()}
    return tuple(map(function, batch)) if isinstance(batch, tuple) else function(batch)
