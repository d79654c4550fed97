"""Whether values have the shapes that a model's example shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard

from torch import Tensor

from ghostify.spec import Example, split_example


def likes_of(example: Example) -> tuple[Any, ...]:
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
