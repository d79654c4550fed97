"""What of an item of data is the model's input, by comparison with its example."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor

from ghostify.calibration.numbers import usable
from ghostify.calibration.shapes import describe, fits, images_of, is_image_list, likes_of, misfit
from ghostify.spec import Example, GhostifyError


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
    likes = likes_of(example)
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
    likes = likes_of(example)
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
    value, like = _first_tensor(item), likes_of(example)[0]
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
