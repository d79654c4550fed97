"""What of an item of data is the model's input, by comparison with its example."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeGuard

import torch
from torch import Tensor

from ghostify.types import Example, GhostifyError, split_example


def usable(value: Tensor, dtype: torch.dtype, name: str) -> Tensor:
    """``value`` as the model computes with it.

    Raises:
        GhostifyError: if it holds integers for a model that takes floating point, or the other
            way round, or numbers that are not finite.
    """
    if dtype.is_floating_point and not value.is_floating_point():
        raise GhostifyError(
            f"{name} holds {_short(value.dtype)}, but the model takes {_short(dtype)}: scale "
            "images with x.float() / 255 and normalise them as for training"
        )
    if value.is_floating_point() and not dtype.is_floating_point:
        raise GhostifyError(
            f"{name} holds {_short(value.dtype)}, but the model takes {_short(dtype)}"
        )
    if not value.isfinite().all():
        raise GhostifyError(f"{name} holds NaN or infinite values")
    return value.to(dtype) if value.is_floating_point() else value


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def inputs_of(example: Example) -> tuple[Any, ...]:
    """The example of each input."""
    args, kwargs = split_example(example)
    return (*args, *kwargs.values())


def is_image_list(value: Any) -> TypeGuard[list[Tensor]]:
    """Whether it is what torchvision's detectors take: a list of images."""
    return (
        isinstance(value, list | tuple)
        and len(value) > 0
        and all(isinstance(image, Tensor) for image in value)
    )


def fits(value: Any, like: Any, batched: bool) -> bool:
    """Whether ``value`` looks like the input ``like``, of any length, height and width.

    Args:
        batched: False for one image of a batch.
    """
    if isinstance(like, Tensor):
        return isinstance(value, Tensor) and misfit(value, like, batched) is None
    if is_image_list(like):
        images = images_of(value) if batched else [value]
        return is_image_list(images) and all(
            misfit(image, like[0][None], batched=False) is None for image in images
        )
    return batched and isinstance(value, type(like))


def images_of(value: Any) -> Any:
    """A batch in one tensor as a list of images, and anything else as it is."""
    return list(value) if isinstance(value, Tensor) and value.dim() > 0 else value


def misfit(value: Tensor, like: Tensor, batched: bool) -> str | None:
    """What tells the shape of ``value`` from that of ``like``; None if nothing does."""
    expected = like.shape if batched else like.shape[1:]
    if value.dim() != len(expected):
        return f"{value.dim()} dimensions instead of {len(expected)}"
    if like.dim() > 2 and value.shape[int(batched)] != like.shape[1]:
        return f"a channel count of {value.shape[int(batched)]} instead of {like.shape[1]}"
    return None if value.numel() else "nothing in it"


def describe(value: Any) -> str:
    """Shapes of the tensors in ``value``, such as ``[16x3x224x224, 16]``."""
    if isinstance(value, Tensor):
        return "x".join(map(str, value.shape)) or "a number"
    if isinstance(value, Mapping):
        entries = [f"{key}: {describe(entry)}" for key, entry in value.items()]
        return f"{{{_shortened(entries)}}}"
    if isinstance(value, list | tuple):
        return f"[{_shortened([describe(entry) for entry in value])}]"
    return type(value).__name__


def _shortened(entries: list[str]) -> str:
    return ", ".join([*entries[:4], "..."] if len(entries) > 4 else entries)


@dataclass(frozen=True)
class Inputs:
    """Values for a model's inputs, in the order of its example.

    Attributes:
        values: one for each input.
        batched: False where they are one image, without a batch dimension.
    """

    values: tuple[Any, ...]
    batched: bool


def read_inputs(item: Any, example: Example, name: str) -> list[Inputs]:
    """The inputs in ``item``: itself, its first entry, or the only entry that looks like them.

    A list of single images, or of pairs of an image and its label, holds as many as it is long;
    everything else holds one.

    Args:
        name: what errors call the item.

    Raises:
        GhostifyError: if nothing in it looks like the example, or its numbers cannot be used.
    """
    found = _read(item, example)
    if not found:
        raise GhostifyError(
            f"{name} is {describe(item)}, but the model takes {describe(example)}"
            f"{_reason(item, example)}"
        )
    likes = inputs_of(example)
    return [
        Inputs(
            tuple(map(partial(_usable, name=name, batched=one.batched), one.values, likes)),
            one.batched,
        )
        for one in found
    ]


def _read(item: Any, example: Example) -> list[Inputs]:
    whole = _whole(item, example)
    if whole is not None:
        return [whole]
    if not isinstance(item, Mapping | list | tuple):
        return []
    entries = [_read(e, example) for e in (item.values() if isinstance(item, Mapping) else item)]
    found = [inputs for inputs in entries if inputs]
    flat = [inputs for entry in found for inputs in entry]
    if isinstance(item, list) and len(found) == len(item) and not any(i.batched for i in flat):
        return flat
    return found[0] if len(found) == 1 or (found and entries[0]) else []


def _whole(item: Any, example: Example) -> Inputs | None:
    """``item`` as inputs, without looking for them in its entries."""
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
        if all(fits(v, like, batched) for v, like in zip(values, likes, strict=True)):
            return Inputs(values, batched)
    return None


def _reason(item: Any, example: Example) -> str:
    """What is wrong with the first tensor of ``item``, where there is one to compare it with."""
    value, like = _first_tensor(item), inputs_of(example)[0]
    if is_image_list(like):
        like, batched = like[0][None], False
    else:
        batched = True
    if value is None or not isinstance(like, Tensor):
        return ""
    reason = misfit(value, like, batched)
    return f": {reason}" if reason else ""


def _first_tensor(value: Any) -> Tensor | None:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return next((t for t in map(_first_tensor, value) if t is not None), None)
    return value if isinstance(value, Tensor) else None


def _usable(value: Any, like: Any, name: str, batched: bool) -> Any:
    if is_image_list(like):
        if not batched:
            return _usable(value, like[0], name, batched)
        return [usable(image, like[0].dtype, name) for image in images_of(value)]
    return usable(value, like.dtype, name) if isinstance(like, Tensor) else value
