"""Data loaders that resume mid-epoch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.utils.data import DataLoader, RandomSampler, Sampler

from ghostify.data.datasets import EvaluationDataset, ImageDataset, TrainingDataset
from ghostify.data.rng import seed_of
from ghostify.data.tensors import TensorImages


@dataclass(frozen=True)
class Data:
    """Loaders for training and validation.

    Attributes:
        name: of the dataset, as passed to `open_data`.
        train: training batches, a `DataLoader` or another iterable; empty if all images are held
            out.
        validation: validation batches, or None without a validation split.
        classes: number of classes, or None without labels.
        held_out: images of ``validation`` that were held out of the training images; 0 if the
            dataset has a validation split, or nothing is left to train on.
        passed_over: files and folders that are not part of the dataset, with the reason for each.
        preprocessing: what is done to the images, in one line.
        seen: whether a network to score was calibrated or trained on some of ``validation``.
    """

    name: str
    train: Iterable[Any]
    validation: Iterable[Any] | None = None
    classes: int | None = None
    held_out: int = 0
    passed_over: Mapping[str, str] = field(default_factory=dict)
    preprocessing: str = "as the loader gives them"
    seen: bool = False

    def skipped(self) -> dict[str, str]:
        """Return all that was skipped so far, unreadable images included, with the reasons."""
        found = dict(self.passed_over)
        for loader in (self.train, self.validation):
            dataset = getattr(loader, "dataset", None)
            if isinstance(dataset, ImageDataset):
                found |= dataset.skipped()
        return found

    def calibration(self) -> Iterable[Any]:
        """Return the training batches, or those of validation if nothing is trained on.

        Images of `open_data` are in order, with the transform of evaluation.
        """
        train: Any = self.train
        dataset = getattr(train, "dataset", None)
        if isinstance(dataset, TrainingDataset) and len(dataset):
            plain = dataset.for_evaluation()
            return evaluation_loader(plain, train.batch_size or 1, train.num_workers)
        if isinstance(dataset, TensorImages) and len(dataset):
            return DataLoader(dataset, train.batch_size)
        return self.train if self.validation is None or _has_batches(train) else self.validation


def _has_batches(loader: Any) -> bool:
    try:
        return len(loader) > 0
    except TypeError:  # a stream
        return True


class EpochSampler(Sampler[tuple[int, int]]):
    """Pairs of the epoch and an index, in an order that is a function of the seed and the epoch."""

    def __init__(self, length: int, seed: int) -> None:
        self.epoch = 0
        self._length, self._seed = length, seed

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[tuple[int, int]]:
        order = torch.randperm(self._length, generator=_generator(self._seed, self.epoch))
        return ((self.epoch, index) for index in order.tolist())

    def set_epoch(self, epoch: int) -> None:  # Accelerate calls it too
        self.epoch = epoch


def set_epoch(loader: Any, epoch: int, seed: int = 0) -> None:
    """Set the epoch that decides the order and the augmentation of ``loader``.

    For a `DataLoader` of your own that shuffles with torch's sampler, the order becomes a function
    of the seed and the epoch, and augmentation in worker processes one of their number, too.
    """
    for part in (loader, getattr(loader, "sampler", None)):
        if setter := getattr(part, "set_epoch", None):
            setter(epoch)
            return
    if isinstance(loader, DataLoader):
        loader.generator = _generator(2 * seed, epoch)
        sampler = getattr(loader.sampler, "whole", loader.sampler)  # that of `RestSampler`
        if isinstance(sampler, RandomSampler):
            sampler.generator = _generator(2 * seed + 1, epoch)


def training_loader(
    dataset: TrainingDataset, batch_size: int, workers: int, seed: int
) -> DataLoader[Any]:
    """Return full batches, or one smaller batch if there are fewer images.

    There is never a batch of one image, on which BatchNorm fails in training.
    """
    if len(dataset) < batch_size:
        batch_size = max(len(dataset), 2)
    options = {"sampler": EpochSampler(len(dataset), seed), "drop_last": True}
    return _loader(dataset, batch_size, workers, options)


def evaluation_loader(dataset: EvaluationDataset, batch_size: int, workers: int) -> DataLoader[Any]:
    """Return every image in order."""
    return _loader(dataset, batch_size, workers, {"collate_fn": dataset.collate})


def tensor_loader(
    images: TensorImages, batch_size: int, seed: int | None = None
) -> DataLoader[Any]:
    """Return every image in order, or with a seed shuffled full batches."""
    if seed is None or not len(images):
        return DataLoader(images, batch_size)
    size = min(batch_size, len(images))
    return DataLoader(images, size, shuffle=True, drop_last=True, generator=_generator(seed, 0))


def _loader(
    dataset: ImageDataset, batch_size: int, workers: int, options: dict[str, Any]
) -> DataLoader[Any]:
    options |= {"persistent_workers": workers > 0, "pin_memory": torch.cuda.is_available()}
    return DataLoader(dataset, batch_size, num_workers=workers, **options)


def _generator(seed: int, epoch: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed_of(seed, epoch))
