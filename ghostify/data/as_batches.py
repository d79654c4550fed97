"""Convert data of any form to batches for a model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby, islice
from math import inf
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from ghostify.data.batches import (
    first_images,
    images_in,
    inputs_of,
    is_image_list,
    split_labels,
    with_inputs,
)
from ghostify.data.loaders import Data
from ghostify.types import Example, GhostifyError, describe_example
from ghostify.types.model_source import describe


class Inputs(NamedTuple):
    """Values for the inputs of a model; not ``batched`` if they are those of a single image."""

    values: tuple[Any, ...]
    batched: bool


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
        raise GhostifyError(f"`batch_size` (={batch_size}) must be at least 1")
    likes = inputs_of(example)
    if not likes:
        raise GhostifyError("the example has no inputs")
    found = (
        inputs
        for number, item in enumerate(_items(data, likes, batch_size))
        for inputs in read_inputs(item, example, f"calibration item {number}")
    )
    batches: list[Example] = []
    left = inf if images is None else images
    for values in _stack(found, likes, batch_size):
        batches.append(first_images(with_inputs(example, values), left))
        left -= images_in(batches[-1])
        if left <= 0:
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
    if not isinstance(data, str | bytes):
        if isinstance(data, Iterable):
            return data
        if hasattr(data, "__getitem__") and hasattr(data, "__len__"):
            # Most datasets never raise IndexError, which would end iter().
            return (data[index] for index in range(len(data)))
    raise GhostifyError(
        f"calibration is a {type(data).__name__}: pass a tensor, a DataLoader or a list"
    )


def _stack(
    found: Iterable[Inputs], likes: tuple[Any, ...], batch_size: int
) -> Iterator[tuple[Any, ...]]:
    """Yield batches as they are, and stack single images of one shape."""

    def shapes(inputs: Inputs) -> list[torch.Size] | None:
        pairs = zip(inputs.values, likes, strict=True)
        sizes = [value.shape for value, like in pairs if isinstance(like, Tensor)]
        return None if inputs.batched else sizes

    for shape, group in groupby(found, key=shapes):
        if shape is None:
            yield from (inputs.values for inputs in group)
        while members := [inputs.values for inputs in islice(group, batch_size)]:
            yield tuple(
                torch.stack(column) if isinstance(like, Tensor) else list(column)
                for column, like in zip(zip(*members, strict=True), likes, strict=True)
            )


def read_inputs(item: Any, example: Example, name: str) -> Iterator[Inputs]:
    """Yield the inputs in ``item``: itself, its first entry, or the only entry that fits.

    A list of single images, or of pairs of an image and its label, holds one each; everything else
    holds one. Errors say that the item is ``name``.
    """
    likes = inputs_of(example)
    found = _find(item, example)
    if not found:
        kinds = f"{name} is {describe(item)}, but the model takes {describe_example(example)}"
        raise GhostifyError(f"{kinds}{_reason(item, likes[0])}")
    for values, batched in found:
        pairs = zip(values, likes, strict=True)
        yield Inputs(tuple(_convert(value, like, name) for value, like in pairs), batched)


def _find(item: Any, example: Example) -> list[Inputs]:
    whole = _match(item, example)
    if whole is not None or not isinstance(item, Mapping | list | tuple):
        return [whole] if whole else []
    entries = [_find(e, example) for e in (item.values() if isinstance(item, Mapping) else item)]
    found = [inputs for inputs in entries if inputs]
    flat = [inputs for entry in found for inputs in entry]
    if isinstance(item, list) and len(found) == len(item) and not any(i.batched for i in flat):
        return flat
    return found[0] if len(found) == 1 or (found and entries[0]) else []


def _match(item: Any, example: Example) -> Inputs | None:
    """Return ``item`` itself as inputs, if it fits."""
    likes = inputs_of(example)
    if isinstance(example, dict) and isinstance(item, Mapping):
        values = tuple(item[name] for name in example if name in item)
    elif isinstance(example, tuple) and len(likes) > 1 and isinstance(item, list | tuple):
        values = tuple(item[: len(likes)])
    else:
        values = (item,)
    if len(values) != len(likes):
        return None
    for batched in (True, False):
        if all(_fits(v, like, batched) for v, like in zip(values, likes, strict=True)):
            return Inputs(values, batched)
    return None


def _fits(value: Any, like: Any, batched: bool) -> bool:
    if isinstance(like, Tensor):
        return isinstance(value, Tensor) and _mismatch(value, like, batched) is None
    if is_image_list(like):
        images = _to_list(value) if batched else [value]
        return is_image_list(images) and all(
            _mismatch(image, like[0][None], batched=False) is None for image in images
        )
    return batched and isinstance(value, type(like))


def _to_list(value: Any) -> Any:
    """Split a batch in one tensor into a list of images."""
    return list(value) if isinstance(value, Tensor) and value.dim() > 0 else value


def _mismatch(value: Tensor, like: Tensor, batched: bool) -> str | None:
    """Compare shapes; length, height and width are free."""
    dimensions = like.dim() if batched else like.dim() - 1
    if value.dim() != dimensions:
        return f"{value.dim()} dimensions instead of {dimensions}"
    if like.dim() > 2 and value.shape[int(batched)] != like.shape[1]:
        return f"a channel count of {value.shape[int(batched)]} instead of {like.shape[1]}"
    return None if value.numel() else "no values"


def _reason(item: Any, like: Any) -> str:
    """Return what is wrong with the first tensor of ``item``."""
    value = next((leaf for leaf in tree_leaves(item) if isinstance(leaf, Tensor)), None)
    is_list = is_image_list(like)
    like = like[0][None] if is_list else like
    if value is None or not isinstance(like, Tensor):
        return ""
    reason = _mismatch(value, like, batched=not is_list)
    return f": {reason}" if reason else ""


def _convert(value: Any, like: Any, name: str) -> Any:
    """Convert floating-point values to the dtype of the example, and lists of images to lists."""
    if is_image_list(like):
        like = like[0]
        if not isinstance(value, Tensor) or value.dim() > like.dim():
            return [_convert(image, like, name) for image in value]
    if not isinstance(like, Tensor):
        return value
    if value.is_floating_point() != like.is_floating_point():
        given, expected = (str(t.dtype).removeprefix("torch.") for t in (value, like))
        scale = ": scale images with x.float() / 255 and normalize them as in training"
        raise GhostifyError(
            f"{name} holds {given}, but the model takes {expected}"
            f"{scale if like.is_floating_point() else ''}"
        )
    if not value.isfinite().all():
        raise GhostifyError(f"{name} holds NaN or infinite values")
    return value.to(like.dtype) if value.is_floating_point() else value
