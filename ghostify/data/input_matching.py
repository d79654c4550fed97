"""Find the inputs of a model in an item of data, by comparison with an example."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

import torch
from torch import Tensor

from ghostify.types import Example, GhostifyError, split_example


@dataclass(frozen=True)
class Inputs:
    """Values for the inputs of a model, in the order of its example.

    Attributes:
        values: one for each input.
        batched: False for one image, without a batch dimension.
    """

    values: tuple[Any, ...]
    batched: bool


def inputs_of(example: Example) -> tuple[Any, ...]:
    """Return the value of each input."""
    args, kwargs = split_example(example)
    return (*args, *kwargs.values())


def is_image_list(value: Any) -> TypeGuard[list[Tensor]]:
    """Whether ``value`` is a list of images, which torchvision's detectors take."""
    return (
        isinstance(value, list | tuple)
        and len(value) > 0
        and all(isinstance(image, Tensor) for image in value)
    )


def read_inputs(item: Any, example: Example, name: str) -> list[Inputs]:
    """Return the inputs in ``item``: itself, its first entry, or the only entry that fits.

    A list of single images, or of pairs of an image and its label, holds one each; everything else
    holds one.

    Args:
        name: of the item, for errors.

    Raises:
        GhostifyError: if nothing in it fits the example, or its values cannot be used.
    """
    found = _find(item, example)
    if not found:
        raise GhostifyError(
            f"{name} is {describe(item)}, but the model takes {describe(example)}"
            f"{_reason(item, inputs_of(example)[0])}"
        )
    likes = inputs_of(example)
    return [
        Inputs(
            tuple(_convert(v, like, name) for v, like in zip(one.values, likes, strict=True)),
            one.batched,
        )
        for one in found
    ]


def describe(value: Any) -> str:
    """Return the shapes of the tensors in ``value``, such as ``[16x3x224x224, 16]``."""
    if isinstance(value, Tensor):
        return "x".join(map(str, value.shape)) or "a number"
    if isinstance(value, Mapping):
        return f"{{{_join([f'{key}: {describe(entry)}' for key, entry in value.items()])}}}"
    if isinstance(value, list | tuple):
        return f"[{_join([describe(entry) for entry in value])}]"
    return type(value).__name__


def _join(entries: list[str]) -> str:
    return ", ".join([*entries[:4], "..."] if len(entries) > 4 else entries)


def _find(item: Any, example: Example) -> list[Inputs]:
    whole = _match(item, example)
    if whole is not None:
        return [whole]
    if not isinstance(item, Mapping | list | tuple):
        return []
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
    expected = like.shape if batched else like.shape[1:]
    if value.dim() != len(expected):
        return f"{value.dim()} dimensions instead of {len(expected)}"
    channels = value.shape[int(batched)] if like.dim() > 2 else None
    if channels is not None and channels != like.shape[1]:
        return f"a channel count of {channels} instead of {like.shape[1]}"
    return None if value.numel() else "no values"


def _reason(item: Any, like: Any) -> str:
    """Return what is wrong with the first tensor of ``item``."""
    value = _first_tensor(item)
    if value is None:
        return ""
    if is_image_list(like):
        reason = _mismatch(value, like[0][None], batched=False)
    else:
        reason = _mismatch(value, like, batched=True) if isinstance(like, Tensor) else None
    return f": {reason}" if reason else ""


def _first_tensor(value: Any) -> Tensor | None:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return next((t for t in map(_first_tensor, value) if t is not None), None)
    return value if isinstance(value, Tensor) else None


def _convert(value: Any, like: Any, name: str) -> Any:
    """Convert floating-point values to the dtype of the example."""
    if is_image_list(like):
        if isinstance(value, Tensor) and value.dim() == like[0].dim():
            return _convert(value, like[0], name)
        return [_convert(image, like[0], name) for image in _to_list(value)]
    if not isinstance(like, Tensor):
        return value
    if value.is_floating_point() != like.is_floating_point():
        scale = ": scale images with x.float() / 255 and normalize them as in training"
        raise GhostifyError(
            f"{name} holds {_short(value.dtype)}, but the model takes {_short(like.dtype)}"
            f"{scale if like.is_floating_point() else ''}"
        )
    if not value.isfinite().all():
        raise GhostifyError(f"{name} holds NaN or infinite values")
    return value.to(like.dtype) if value.is_floating_point() else value


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
