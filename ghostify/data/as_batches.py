"""Convert data of any form to batches for a model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby, islice
from typing import Any

import torch
from torch import Tensor

from ghostify.data.batches import split_labels
from ghostify.data.input_matching import Inputs, inputs_of, is_image_list, read_inputs
from ghostify.data.loaders import Data
from ghostify.data.splits import first_images, images_in
from ghostify.types import Example, GhostifyError


def as_batches(
    data: Any, example: Example, *, batch_size: int = 16, images: int | None = None
) -> list[Example]:
    """Return batches to call the model with, in the structure of ``example``.

    Args:
        data: a tensor ``(N, C, H, W)``; a `Data`, of which the training images are taken; or a
            `DataLoader`, a dataset or any other iterable of batches or single images, alone or with
            labels, in tuples, lists or dicts. Items have as many inputs as the model.
        example: what the model is called with. Inputs are recognized by its number of dimensions
            and channels; height and width may differ.
        batch_size: images per batch, if ``data`` does not consist of batches.
        images: how many to use at most. Default: all.

    Raises:
        GhostifyError: if there is no data, an item does not fit, images are integers though the
            model takes floating point, or values are not finite.
    """
    if batch_size < 1:
        raise GhostifyError(f"batch_size (={batch_size}) must be at least 1")
    likes = inputs_of(example)
    if not likes:
        raise GhostifyError("the example has no inputs")
    found = (
        inputs
        for number, item in enumerate(_items(data, likes, batch_size))
        for inputs in read_inputs(item, example, f"calibration item {number}")
    )
    batches: list[Example] = []
    count = 0
    for values in _stack(found, likes, batch_size):
        batch = _like(example, values)
        if images is not None:
            batch = first_images(batch, images - count)
        batches.append(batch)
        count += images_in(batch)
        if images is not None and count >= images:
            break
    if not batches:
        raise GhostifyError("the calibration data is empty")
    return batches


def _items(data: Any, likes: tuple[Any, ...], batch_size: int) -> Iterable[Any]:
    if isinstance(data, Data):  # all images of a batch may be unreadable
        return (item for item in data.calibration() if images_in(split_labels(item)[0]))
    if isinstance(data, Tensor):
        like = likes[0][0][None] if is_image_list(likes[0]) else likes[0]
        is_batch = isinstance(like, Tensor) and data.dim() == like.dim() > 0
        return torch.split(data, batch_size) if is_batch else [data]
    if isinstance(data, Mapping):
        return [data]
    if isinstance(data, Iterable) and not isinstance(data, str | bytes):
        return data
    if hasattr(data, "__getitem__") and hasattr(data, "__len__") and not isinstance(data, str):
        # Most datasets never raise IndexError, which would end iter().
        return (data[index] for index in range(len(data)))
    raise GhostifyError(
        f"calibration is a {type(data).__name__}: pass a tensor, a DataLoader or a list"
    )


def _stack(
    found: Iterable[Inputs], likes: tuple[Any, ...], batch_size: int
) -> Iterator[tuple[Any, ...]]:
    """Yield batches as they are, and stack single images of one shape."""

    def shapes(inputs: Inputs) -> tuple[Any, ...] | None:
        if inputs.batched:
            return None
        pairs = zip(inputs.values, likes, strict=True)
        return tuple(value.shape if isinstance(like, Tensor) else None for value, like in pairs)

    for shape, group in groupby(found, key=shapes):
        if shape is None:
            yield from (inputs.values for inputs in group)
            continue
        while members := [inputs.values for inputs in islice(group, batch_size)]:
            yield tuple(
                torch.stack(column) if isinstance(like, Tensor) else list(column)
                for column, like in zip(zip(*members, strict=True), likes, strict=True)
            )


def _like(example: Example, values: tuple[Any, ...]) -> Example:
    if isinstance(example, dict):
        return dict(zip(example, values, strict=True))
    return values if isinstance(example, tuple) else values[0]
