"""Held-out images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ghostify.data.images import Images
from ghostify.data.input_matching import inputs_of, is_image_list
from ghostify.types import Example

_FEWEST = 10
_EVERY = 5


def hold_out_images(images: Images, share: float) -> tuple[Images, Images]:
    """Split off the same ``share`` of each class; return the other images, and those held out.

    The choice is always the same. Of a class of two or more images, at least one is held out and,
    unless ``share`` is 1, at least one stays.
    """
    classes: dict[int, list[int]] = {}
    for index, label in enumerate(images.labels or [0] * len(images)):
        classes.setdefault(label, []).append(index)
    generator = torch.Generator().manual_seed(0)
    held: set[int] = set()
    for _, indices in sorted(classes.items()):
        order = torch.randperm(len(indices), generator=generator).tolist()
        held |= {indices[place] for place in order[: _count(len(indices), share)]}
    kept = [index for index in range(len(images)) if index not in held]
    return images.select(kept), images.select(sorted(held))


def _count(total: int, share: float) -> int:
    if share in (0, 1):
        return total * int(share)
    return max(min(round(total * share), total - 1), min(total - 1, 1))


def hold_out_batches(batches: list[Example]) -> tuple[list[Example], list[Example]]:
    """Split off every fifth image; return batches of the other images, and of those held out.

    Batches are held out whole if their inputs are not all tensors of one length or lists of
    images. Of fewer than 10 images, none is held out.
    """
    if sum(map(images_in, batches)) < _FEWEST:
        return list(batches), []
    if not all(map(_is_divisible, batches)):
        held = batches[_EVERY - 1 :: _EVERY]
        return [b for i, b in enumerate(batches) if i % _EVERY != _EVERY - 1], held
    kept, held, start = [], [], 0
    for batch in batches:
        indices = torch.arange(start, start + images_in(batch))
        start += len(indices)
        is_held = indices % _EVERY == _EVERY - 1
        kept += _select(batch, ~is_held)
        held += _select(batch, is_held)
    return kept, held


def first_images(batch: Example, count: int) -> Example:
    """Return a batch of the first ``count`` images, or ``batch`` if it cannot be divided."""
    if images_in(batch) <= count or not _is_divisible(batch):
        return batch
    return _select(batch, torch.arange(images_in(batch)) < count)[0]


def images_in(batch: Example) -> int:
    """Return the length of the first input that has one, or 1."""
    return next((len(v) for v in inputs_of(batch) if _has_length(v)), 1)


def _has_length(value: Any) -> bool:
    return value.dim() > 0 if isinstance(value, Tensor) else is_image_list(value)


def _is_divisible(batch: Example) -> bool:
    values = inputs_of(batch)
    return all(map(_has_length, values)) and len({len(value) for value in values}) == 1


def _select(batch: Example, mask: Tensor) -> list[Example]:
    """Return one batch of the images where ``mask`` is true, or no batch."""
    index = mask.nonzero().flatten()
    return [_map(batch, lambda value: _at(value, index))] if len(index) else []


def _at(value: Any, index: Tensor) -> Any:
    if isinstance(value, Tensor):
        return value[index.to(value.device)]
    return [value[i] for i in index.tolist()]


def _map(batch: Example, function: Callable[[Any], Any]) -> Example:
    if isinstance(batch, dict):
        return {name: function(value) for name, value in batch.items()}
    return tuple(map(function, batch)) if isinstance(batch, tuple) else function(batch)
