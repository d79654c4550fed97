"""From the data that a user of Python has to batches that the model takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from ghostify.data.input_matching import Inputs, is_image_list, likes_of, read_inputs
from ghostify.types import Example, GhostifyError


def as_batches(data: Any, example: Example, *, batch_size: int = 16) -> list[Example]:
    """Batches to call the model with, each of the structure of ``example``.

    Args:
        data: images ``(N, C, H, W)`` in one tensor, or a `DataLoader`, a dataset or any other
            iterable, which is gone through once. Its items are batches, or single images, which
            are gathered; alone or with labels, by which they may be accompanied in a tuple, list
            or dict. Where a model has several inputs, so has each item.
        example: what the model is called with. Its number of dimensions and of channels are what
            an input is known by; height and width are free.
        batch_size: images to a batch, where ``data`` does not come in batches.

    Raises:
        GhostifyError: if there is no data, an item does not fit, images are integers though the
            model takes floating point, or values are not finite.
    """
    if batch_size < 1:
        raise GhostifyError(f"batch_size={batch_size}: give 1 or more")
    likes = likes_of(example)
    if not likes:
        raise GhostifyError("the example has no inputs")
    found = (
        inputs
        for number, item in enumerate(_items(data, likes, batch_size))
        for inputs in read_inputs(item, example, f"calibration item {number}")
    )
    batches = [_like(example, values) for values in _gathered(found, likes, batch_size)]
    if not batches:
        raise GhostifyError("the calibration data is empty")
    return batches


def _items(data: Any, likes: tuple[Any, ...], batch_size: int) -> Iterable[Any]:
    if isinstance(data, Tensor):
        like = likes[0][0][None] if is_image_list(likes[0]) else likes[0]
        whole = isinstance(like, Tensor) and data.dim() == like.dim() > 0
        return torch.split(data, batch_size) if whole else [data]
    if isinstance(data, Mapping):
        return [data]
    if isinstance(data, Iterable) and not isinstance(data, str | bytes):
        return data
    if hasattr(data, "__getitem__") and hasattr(data, "__len__") and not isinstance(data, str):
        # A dataset: iter() would not end with one that never raises IndexError.
        return (data[index] for index in range(len(data)))
    raise GhostifyError(
        f"calibration data is a {type(data).__name__}: give a tensor, a DataLoader or a list"
    )


def _gathered(
    found: Iterable[Inputs], likes: tuple[Any, ...], batch_size: int
) -> Iterator[tuple[Any, ...]]:
    """Batches as they are, and single images that can be stacked in batches."""

    def stackable(inputs: Inputs) -> tuple[Any, ...] | None:
        if inputs.batched:
            return None
        pairs = zip(inputs.values, likes, strict=True)
        return tuple(value.shape if isinstance(like, Tensor) else None for value, like in pairs)

    for shapes, group in groupby(found, key=stackable):
        members = [inputs.values for inputs in group]
        if shapes is None:
            yield from members
            continue
        for start in range(0, len(members), batch_size):
            columns = zip(*members[start : start + batch_size], strict=True)
            yield tuple(
                torch.stack(column) if isinstance(like, Tensor) else list(column)
                for column, like in zip(columns, likes, strict=True)
            )


def _like(example: Example, values: tuple[Any, ...]) -> Example:
    if isinstance(example, dict):
        return dict(zip(example, values, strict=True))
    return values if isinstance(example, tuple) else values[0]
