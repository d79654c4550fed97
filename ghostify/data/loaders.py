"""Batches in an order that can be taken up again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import DataLoader, RandomSampler, Sampler

from ghostify.data.datasets import Seen, TrainingSet, ValidationSet
from ghostify.data.rng import seed_of
from ghostify.types import GhostifyError


@dataclass(frozen=True)
class Data:
    """What to train on and what to be scored on.

    Attributes:
        name: of the source, as the user wrote it.
        train: batches, without any where there is nothing to train on.
        validation: batches, or None where nothing is held out.
        classes: how many, or None without labels.
        held_out: images of ``validation`` that were held out of the training images, because the
            source has no validation part of its own; 0 where it has.
    """

    name: str
    train: DataLoader[Any]
    validation: DataLoader[Any] | None = None
    classes: int | None = None
    held_out: int = 0

    def skipped(self) -> list[str]:
        """Names of the images that could not be read so far."""
        sets = [loader.dataset for loader in (self.train, self.validation) if loader is not None]
        return [name for one in sets if isinstance(one, Seen) for name in one.skipped()]


class Order(Sampler[tuple[int, int]]):
    """Pairs of the epoch and a number, in an order that is a function of seed and epoch."""

    def __init__(self, length: int, seed: int) -> None:
        self.epoch = 0
        self._length = length
        self._seed = seed

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[tuple[int, int]]:
        order = torch.randperm(self._length, generator=_generator(self._seed, self.epoch))
        return ((self.epoch, number) for number in order.tolist())

    def set_epoch(self, epoch: int) -> None:
        """What `set_epoch` calls, and Accelerate."""
        self.epoch = epoch


def set_epoch(loader: Any, epoch: int) -> None:
    """Give ``loader`` the order, and the augmentation, of an epoch.

    Of a loader of the user's own, which shuffles with torch's sampler, the order becomes a function
    of the epoch, and its augmentation in worker processes one of the epoch and their number.
    """
    for part in (loader, getattr(loader, "sampler", None)):
        setter = getattr(part, "set_epoch", None)
        if setter is not None:
            setter(epoch)
            return
    if isinstance(loader, DataLoader):
        loader.generator = _generator(0, epoch)
        if isinstance(loader.sampler, RandomSampler):
            loader.sampler.generator = _generator(1, epoch)


def training_loader(
    images: TrainingSet, *, batch_size: int, workers: int, seed: int
) -> DataLoader[Any]:
    """Full batches, so that no batch norm meets a single image; one batch where there are few.

    A single image is no batch.
    """
    return DataLoader(
        images,
        batch_size=batch_size if len(images) >= batch_size else max(len(images), 2),
        sampler=Order(len(images), seed),
        drop_last=True,
        **_common(workers),
    )


def validation_loader(images: ValidationSet, *, batch_size: int, workers: int) -> DataLoader[Any]:
    """Every image, in order."""
    return DataLoader(images, batch_size=batch_size, collate_fn=images.collate, **_common(workers))


def check_loading(batch_size: int, workers: int, seed: int) -> None:
    """See that loaders can be made so.

    Raises:
        GhostifyError: if a number is out of its range.
    """
    for name, number, least in (
        ("batch_size", batch_size, 1),
        ("workers", workers, 0),
        ("seed", seed, 0),
    ):
        if number < least:
            raise GhostifyError(f"{name}={number}: give {least} or more")


def _common(workers: int) -> dict[str, Any]:
    return {
        "num_workers": workers,
        "persistent_workers": workers > 0,
        "pin_memory": torch.cuda.is_available(),
    }


def _generator(seed: int, epoch: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed_of(seed, epoch))
