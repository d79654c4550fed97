"""Divide data into a rest and a held-out part."""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, Sampler, Subset

from ghostify.data.batches import images_in, is_divisible, select_images, split_labels
from ghostify.data.datasets import TrainingDataset
from ghostify.data.loaders import set_epoch
from ghostify.types import GhostifyError

_TENTH, _FEWEST, _MOST = 10, 16, 512
_OPTIONS = (
    "num_workers", "collate_fn", "pin_memory", "timeout", "worker_init_fn",
    "multiprocessing_context", "generator", "prefetch_factor", "persistent_workers",
)  # fmt: skip
"""Arguments of a DataLoader that both parts keep."""


def split(data: Any, every: int, most: int | None = None) -> tuple[Any, Any]:
    """Divide data into a rest and a held-out part: one image, drawn at random, of every ``every``.

    The choice depends on the positions of the images alone. A DataLoader of a map-style dataset is
    divided by the indices of the dataset: the rest keeps its batch size, its workers and its order
    or shuffling, and the held-out part has its images in order. Any other iterable, which must
    yield its images in the same order each time, is divided lazily by their positions. Its batches
    that cannot be divided count as one image.

    Args:
        data: a DataLoader, or any iterable of batches that can be iterated repeatedly.
        most: maximum number of held-out images. Default: no limit.
    """
    choice = _Choice(every, most)
    if is_map_style(data):
        return _split_loader(data, choice)
    return _Part(data, choice, held=False), _Part(data, choice, held=True)


def hold_out(data: Any) -> tuple[Any, Any]:
    """Hold out a tenth of training data, at least 16 images and at most 512.

    Returns:
        The rest and the held-out part. Of fewer than 64 images, or of one batch, nothing is held
        out: ``data`` and None.
    """
    images = _estimated_images(data)
    if images == 0:
        raise GhostifyError("`data` is empty")
    every = _TENTH if images is None else min(_TENTH, images // _FEWEST)
    if every < 4:
        return data, None
    rest, held = split(data, every, _MOST)
    if isinstance(rest, DataLoader) and not len(rest):  # too few for a full batch
        return data, None
    return rest, held


def has_images(data: Any, number: int) -> bool:
    """Whether data holds at least ``number`` images. No more batches are read than that takes."""
    if is_map_style(data):
        return len(data.dataset) >= number
    for batch in data:
        number -= images_in(split_labels(batch)[0])
        if number <= 0:
            return True
    return False


@dataclass(frozen=True)
class _Choice:
    """One position of every ``every``, of the first ``most`` such blocks."""

    every: int
    most: int | None

    def mask(self, start: int, count: int) -> Tensor:
        """Return which of ``count`` positions from ``start`` on are held out, ``(count,)``."""
        positions = torch.arange(start, start + count)
        blocks = positions // self.every
        drawn = (blocks * 2_654_435_761 % 2**32 >> 16) % self.every  # Knuth's multiplicative hash
        held = positions % self.every == drawn
        return held if self.most is None else held & (blocks < self.most)

    def is_over(self, position: int) -> bool:
        """Whether nothing is held out from ``position`` on."""
        return self.most is not None and position >= self.every * self.most


class RestSampler(Sampler[Any]):
    """Indices, or batches of indices, of another sampler, without those that are held out.

    Attributes:
        whole: the other sampler.
    """

    def __init__(self, whole: Any, held: Set[int], images: int) -> None:
        self.whole, self._held, self._images = whole, held, images

    def __len__(self) -> int:
        """Return the number of indices, which is the mean one if ``whole`` repeats some."""
        return len(self.whole) - len(self.whole) * len(self._held) // self._images

    def __iter__(self) -> Iterator[Any]:
        for key in self.whole:
            if isinstance(key, list):
                if rest := [index for index in key if index not in self._held]:
                    yield rest
            elif (key[1] if isinstance(key, tuple) else key) not in self._held:  # of EpochSampler
                yield key

    def __getattr__(self, name: str) -> Any:
        if name != "set_epoch":  # which only some samplers have
            raise AttributeError(name)
        return self.whole.set_epoch


class _Part:
    """The rest or the held-out part of an iterable of batches.

    Yields pairs of inputs and labels or None.
    """

    def __init__(self, data: Any, choice: _Choice, *, held: bool) -> None:
        self._data, self._choice, self._is_held = data, choice, held

    def __len__(self) -> int:
        """Return the number of batches, of which some may be left out."""
        return len(self._data)

    def set_epoch(self, epoch: int) -> None:
        set_epoch(self._data, epoch)

    def __iter__(self) -> Iterator[Any]:
        start = 0
        for batch in self._data:
            inputs, labels = split_labels(batch)
            count = images_in(inputs)
            if not is_divisible(inputs) or (labels is not None and len(labels) != count):
                mask = self._choice.mask(start, 1)
                start += 1
                if bool(mask) == self._is_held:
                    yield inputs, labels
                continue
            mask = self._choice.mask(start, count)
            start += count
            mask = mask if self._is_held else ~mask
            for part in select_images(inputs, mask):
                yield part, labels if labels is None else labels[mask.to(labels.device)]
            if self._is_held and self._choice.is_over(start):
                return


def is_map_style(data: Any) -> bool:
    """Whether it is a DataLoader of a map-style dataset, with batches."""
    return (
        isinstance(data, DataLoader)
        and data.batch_sampler is not None
        and not isinstance(data.dataset, IterableDataset)
    )


def _split_loader(loader: DataLoader[Any], choice: _Choice) -> tuple[Any, Any]:
    dataset: Any = loader.dataset
    options: dict[str, Any] = {name: getattr(loader, name) for name in _OPTIONS}
    indices = choice.mask(0, len(dataset)).nonzero().flatten().tolist()
    if loader.batch_size is None:  # a batch sampler of the user's own
        batches = RestSampler(loader.batch_sampler, set(indices), len(dataset))
        rest = DataLoader(dataset, batch_sampler=batches, **options)
    else:
        sampler = RestSampler(loader.sampler, set(indices), len(dataset))
        options |= {"batch_size": loader.batch_size}
        rest = DataLoader(dataset, sampler=sampler, drop_last=loader.drop_last, **options)
    if isinstance(dataset, TrainingDataset):
        dataset = dataset.for_evaluation()
        options["collate_fn"] = dataset.collate
    return rest, DataLoader(Subset(dataset, indices), **{"batch_size": 32, **options})


def _estimated_images(data: Any) -> int | None:
    """Return the number of images, or None for a stream."""
    if is_map_style(data):
        return len(data.dataset)
    try:
        return len(data) * images_in(split_labels(next(iter(data)))[0]) if len(data) else 0
    except TypeError:
        return None
