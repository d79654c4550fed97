"""Batches: their inputs and labels, how many images they hold, and a network called with them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sized
from itertools import chain, islice
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map_only

from ghostify.io.progress import progress_bar
from ghostify.types import Example, GhostifyError, split_example
from ghostify.types.progress import ShowProgress

LABEL_NAMES = ("labels", "label", "targets", "target")
_FEWEST = 10
_EVERY = 5
_MOST = 64


def split_labels(batch: Any) -> tuple[Example, Tensor | None]:
    """Split a batch into the inputs of the network and the labels, if it has some.

    The labels are the second of a pair: class indices ``(B)`` or probabilities ``(B, classes)``. In
    a mapping they are named ``labels``, ``label``, ``targets`` or ``target``. Targets of detectors
    are dropped. Anything else is inputs alone. Several inputs are a tuple or a mapping; a list of
    them is what `torch.utils.data.default_collate` makes of tuples.
    """
    if isinstance(batch, Mapping):
        name = next((name for name in LABEL_NAMES if name in batch), None)
        inputs = {key: value for key, value in batch.items() if key != name}
        labels = batch[name] if name else None
    elif not isinstance(batch, list | tuple):
        return batch, None
    elif len(batch) == 1 and isinstance(batch[0], Tensor) and batch[0].dim() != 3:
        return batch[0], None
    elif len(batch) != 2 or _is_image(batch[1]):
        return _as_inputs(batch), None
    elif is_image_list(batch[0]) and _are_targets(batch[1]):
        return list(batch[0]), None
    else:
        inputs, labels = batch
    return _as_inputs(inputs), labels if isinstance(labels, Tensor) else None


def _are_targets(value: Any) -> bool:
    """Whether it is a list of a detector's targets, which are mappings."""
    return isinstance(value, list | tuple) and all(isinstance(each, Mapping) for each in value)


def _as_inputs(values: Any) -> Any:
    """Return the inputs of a network that has several as a tuple; images stay a list."""
    if is_image_list(values) and not all(value.dim() in (0, 3) for value in values):
        return tuple(values)
    return values


def _is_image(value: Any) -> bool:
    """Whether it is an input; label maps of segmentation hold integers."""
    return isinstance(value, Tensor) and value.is_floating_point() and value.dim() > 2


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


def with_inputs(example: Example, values: tuple[Any, ...]) -> Example:
    """Return ``values`` in the structure of ``example``."""
    if isinstance(example, dict):
        return dict(zip(example, values, strict=True))
    return values if isinstance(example, tuple) else values[0]


def images_in(batch: Example) -> int:
    """Return the length of the first input that has one, or 1."""
    return next((len(v) for v in inputs_of(batch) if _has_length(v)), 1)


def first_images(batch: Example, count: float) -> Example:
    """Return a batch of the first ``count`` images, or ``batch`` if it cannot be divided."""
    if images_in(batch) <= count or not is_divisible(batch):
        return batch
    return select_images(batch, torch.arange(images_in(batch)) < count)[0]


def split_batch(batch: Example, numbers: int) -> list[Example]:
    """Split a batch, if it can be divided, into some of at most ``numbers`` numbers each."""
    images = images_in(batch)
    held = sum(t.numel() for t in tree_leaves(batch) if isinstance(t, Tensor))
    size = max(numbers * images // max(held, 1), 1)
    if size >= images or not is_divisible(batch):
        return [batch]
    part = torch.arange(images) // size
    return [
        small
        for number in range(-(-images // size))
        for small in select_images(batch, part == number)
    ]


def hold_out_batches(batches: list[Example]) -> tuple[list[Example], list[Example]]:
    """Split off every fifth image; return batches of the other images, and of those held out.

    Of more than 320 images, fewer are held out, so that it is about 64. Batches are held out whole
    if their inputs are not all tensors of one length or lists of images. Of fewer than 10 images,
    none is held out.
    """
    total = sum(map(images_in, batches))
    if total < _FEWEST:
        return list(batches), []
    every = max(_EVERY, total // _MOST)
    if not all(map(is_divisible, batches)):
        held = batches[every - 1 :: every]
        return [b for i, b in enumerate(batches) if i % every != every - 1], held
    kept, held, start = [], [], 0
    for batch in batches:
        indices = torch.arange(start, start + images_in(batch))
        start += len(indices)
        is_held = indices % every == every - 1
        kept += select_images(batch, ~is_held)
        held += select_images(batch, is_held)
    return kept, held


def regroup(batches: list[Example], size: int) -> list[Example]:
    """Return batches of at most ``size`` images; the same ones if they cannot be divided."""
    if not all(map(is_divisible, batches)):
        return list(batches)
    images = [
        with_inputs(batch, tuple(value[i : i + 1] for value in inputs_of(batch)))
        for batch in batches
        for i in range(images_in(batch))
    ]
    return [_join(images[start : start + size]) for start in range(0, len(images), size)]


def _join(batches: list[Example]) -> Example:
    columns = zip(*map(inputs_of, batches), strict=True)
    joined = (
        torch.cat(column) if isinstance(column[0], Tensor) else [*chain(*column)]
        for column in columns
    )
    return with_inputs(batches[0], tuple(joined))


def _has_length(value: Any) -> bool:
    return value.dim() > 0 if isinstance(value, Tensor) else is_image_list(value)


def is_divisible(batch: Example) -> bool:
    """Whether all inputs are tensors of one length, or lists of as many images."""
    values = inputs_of(batch)
    return all(map(_has_length, values)) and len({len(value) for value in values}) == 1


def select_images(batch: Example, mask: Tensor) -> list[Example]:
    """Return one batch of the images where ``mask`` is true, or no batch."""

    def select(value: Any) -> Any:
        if isinstance(value, Tensor):
            return value[mask.to(value.device)]
        return [image for image, chosen in zip(value, mask.tolist(), strict=True) if chosen]

    return [with_inputs(batch, tuple(map(select, inputs_of(batch))))] if mask.any() else []


def with_progress(
    batches: Iterable[Any], task: str, progress: ShowProgress, *, limit: int | None = None
) -> Iterator[Any]:
    """Yield at most ``limit`` batches and show a progress bar."""
    total = len(batches) if isinstance(batches, Sized) else limit
    if total is not None and limit is not None:
        total = min(total, limit)
    with progress_bar(task, progress) as report:
        for done, batch in enumerate(islice(batches, limit), 1):
            yield batch
            report(done, total)


def call(model: nn.Module, inputs: Example) -> Any:
    """Call ``model`` with inputs on any device."""
    device = device_of(model)
    args, kwargs = split_example(tree_map_only(Tensor, lambda tensor: tensor.to(device), inputs))
    return model(*args, **kwargs)


def find_device(name: torch.device | str | None) -> torch.device:
    """Return the device of a name. Default: a GPU if there is one.

    Raises:
        GhostifyError: if it is not available.
    """
    try:
        device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise GhostifyError(f"`device` (={name!r}) is not available: try cpu") from error
    return device


def device_of(model: nn.Module) -> torch.device:
    """Return the device of the first parameter."""
    return next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
