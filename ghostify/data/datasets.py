"""Datasets of transformed images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from torch.utils.data import Dataset, default_collate
from torchvision.transforms import v2

from ghostify.data.images import Images, summarize_skipped
from ghostify.data.rng import seed_of
from ghostify.data.transform import Transform
from ghostify.types import Augmentation, GhostifyError
from ghostify.types.errors import first_line


class ImageDataset(Dataset[Any]):
    """Inputs ``(C, H, W)``, alone or with labels.

    Counts unreadable images over all worker processes.
    """

    def __init__(self, images: Images, transform: Transform) -> None:
        self.images = images
        self.transform = transform
        self._unreadable = torch.zeros(len(images), dtype=torch.bool)
        self._unreadable.share_memory_()  # type: ignore[no-untyped-call]

    def __len__(self) -> int:
        return len(self.images)

    def decode(self, index: int) -> Image.Image | None:
        """Decode an image; return None if it is unreadable."""
        try:
            return self.images.decode(index, self.transform.mode)
        except Exception:  # decoders raise exceptions of all kinds
            self._unreadable[index] = True
            return None

    def skipped(self) -> dict[str, str]:
        """Return the unreadable images found so far, with the reason for each."""
        indices = self._unreadable.nonzero().flatten().tolist()
        return {self.images.names[index]: self._reason(index) for index in indices}

    def _reason(self, index: int) -> str:
        try:  # again, since the worker process kept the exception
            self.images.decode(index, self.transform.mode)
            return "unreadable"
        except UnidentifiedImageError:
            return "not an image"
        except Exception as error:
            return first_line(error)

    def check(self) -> None:
        """Raise GhostifyError if all images are unreadable."""
        if len(self) and all(self.decode(index) is None for index in range(len(self))):
            raise GhostifyError(
                f"none of the images can be read: {summarize_skipped(self.skipped())}"
            )


class EvaluationDataset(ImageDataset):
    """Every image once, with the transform of evaluation; None for an unreadable one."""

    def __getitem__(self, index: int) -> Any:
        image = self.decode(index)
        if image is None:
            return None
        inputs, labels = self.transform(image), self.images.labels
        return inputs if labels is None else (inputs, labels[index])

    def collate(self, samples: Sequence[Any]) -> Any:
        """Return a batch of the readable samples, perhaps an empty one."""
        readable = [sample for sample in samples if sample is not None]
        if readable:
            return default_collate(readable)
        inputs = torch.empty(0, *self.transform.input_size)
        return inputs if self.images.labels is None else [inputs, torch.empty(0, dtype=torch.int64)]


class TrainingDataset(ImageDataset):
    """Augmented images. Keys are pairs of an epoch and an index.

    A sample is a function of the seed, the epoch and the index. It does not depend on the worker
    process or on earlier samples, so training resumes mid-epoch. The next readable image replaces
    an unreadable one. Mixed images have labels if the number of ``classes`` is known.
    """

    def __init__(
        self, images: Images, transform: Transform, seed: int, classes: int | None
    ) -> None:
        super().__init__(images, transform)
        self._seed = seed
        self._mixings: list[Any] = []
        for mixing, setting in ((v2.MixUp, "mixup"), (v2.CutMix, "cutmix")):
            if alpha := getattr(transform.augmentation, setting):
                self._mixings.append(mixing(alpha=alpha, num_classes=classes or 1))

    def __getitem__(self, key: tuple[int, int]) -> Any:
        epoch, index = key
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed_of(self._seed, epoch, index))
            sample = self._read(index)
            if self._mixings:
                sample = self._mix(*sample)
        return sample[0] if self.images.labels is None else sample

    def for_evaluation(self) -> EvaluationDataset:
        """Return the same images with the transform of evaluation."""
        plain = EvaluationDataset(self.images, self.transform.with_augmentation(Augmentation()))
        plain._unreadable = self._unreadable
        return plain

    def _read(self, index: int) -> tuple[Tensor, Any]:
        labels = self.images.labels
        for step in range(len(self)):
            nearby = (index + step) % len(self)
            image = self.decode(nearby)
            if image is not None:
                return self.transform(image), labels[nearby] if labels else 0
        raise GhostifyError("no image can be read any more")

    def _mix(self, inputs: Tensor, label: int) -> tuple[Tensor, Tensor]:
        """Mix with an image drawn for it, so that a sample does not depend on its batch."""
        other, other_label = self._read(int(torch.randint(len(self), ())))
        mixing = self._mixings[int(torch.randint(len(self._mixings), ()))]
        mixed, labels = mixing(torch.stack([inputs, other]), torch.tensor([label, other_label]))
        return mixed[0], labels[0]
