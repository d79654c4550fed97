"""Pictures as a network sees them, by number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset, default_collate
from torchvision.transforms import v2

from ghostify.data.pictures import Pictures
from ghostify.data.rng import seed_of
from ghostify.data.views import View
from ghostify.types import Augmentation, GhostifyError

Sample = Any
"""An input ``(C, H, W)``, alone or with its label."""

_MOST_NAMED = 3


class Seen:
    """Pictures seen one way. What cannot be read is remembered, over all worker processes."""

    def __init__(self, pictures: Pictures, view: View) -> None:
        self.pictures = pictures
        self.view = view
        self._broken = torch.zeros(len(pictures), dtype=torch.bool)
        self._broken.share_memory_()  # type: ignore[no-untyped-call]

    def __len__(self) -> int:
        return len(self.pictures)

    def skipped(self) -> list[str]:
        """Names of the pictures that could not be read so far."""
        return [self.pictures.names[i] for i in self._broken.nonzero().flatten().tolist()]

    def picture(self, number: int) -> Image.Image | None:
        """The picture of that number, or None if it cannot be read."""
        try:
            return self.pictures.decode(number, self.view.mode)
        except Exception:  # decoders raise all kinds over broken files
            self._broken[number] = True
            return None

    def label(self, number: int) -> int | None:
        """Its class."""
        return None if self.pictures.labels is None else self.pictures.labels[number]

    def check(self) -> None:
        """See that a picture can be read at all.

        Raises:
            GhostifyError: if all are broken.
        """
        numbers = range(len(self))
        if len(self) and all(self.picture(number) is None for number in numbers):
            named = ", ".join(self.pictures.names[:_MOST_NAMED])
            raise GhostifyError(f"none of {len(self)} images can be read: {named}, ...")


class ValidationSet(Seen, Dataset[Sample]):
    """Every picture once, seen as in evaluation; None for one that cannot be read."""

    def __getitem__(self, number: int) -> Sample | None:
        image = self.picture(number)
        if image is None:
            return None
        label = self.label(number)
        return self.view(image) if label is None else (self.view(image), label)

    def collate(self, samples: Sequence[Sample | None]) -> Any:
        """A batch of those that could be read."""
        readable = [sample for sample in samples if sample is not None]
        if readable:
            return default_collate(readable)
        images = torch.empty(0, len(self.view.preprocessing.mean), *self.view.size)
        labelled = self.pictures.labels is not None
        return [images, torch.empty(0, dtype=torch.int64)] if labelled else images


class TrainingSet(Seen, Dataset[Sample]):
    """Pictures varied at random, which is a function of the seed, the epoch and the number.

    So it does not matter which process makes a sample, what was made before, or where training
    was taken up again. A key is a pair of the epoch and the number. The next picture that can be
    read stands in for one that cannot.

    Args:
        classes: of labels, where mixing is to make shares of them; None without labels.
    """

    def __init__(
        self,
        pictures: Pictures,
        view: View,
        *,
        seed: int,
        augmentation: Augmentation,
        classes: int | None,
    ) -> None:
        super().__init__(pictures, view)
        self._seed = seed
        self._mixings = [
            mixing(alpha=alpha, num_classes=classes or 1)
            for mixing, alpha in (
                (v2.MixUp, augmentation.mixup),
                (v2.CutMix, augmentation.cutmix),
            )
            if alpha
        ]

    def __getitem__(self, key: tuple[int, int]) -> Sample:
        epoch, number = key
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed_of(self._seed, epoch, number))
            return self._drawn(number)

    def _drawn(self, number: int) -> Sample:
        sample = self._readable(number)
        drawn = self._mixed(*sample) if self._mixings else sample
        return drawn[0] if self.pictures.labels is None else drawn

    def _readable(self, number: int) -> tuple[Tensor, int]:
        for step in range(len(self)):
            nearby = (number + step) % len(self)
            image = self.picture(nearby)
            if image is not None:
                return self.view(image), self.label(nearby) or 0
        raise GhostifyError("no image can be read any more")

    def _mixed(self, image: Tensor, label: int) -> tuple[Tensor, Tensor]:
        """With a picture drawn for it, so that a sample does not depend on its batch."""
        other, its_label = self._readable(int(torch.randint(len(self), ())))
        mixing: Callable[..., Any] = self._mixings[int(torch.randint(len(self._mixings), ()))]
        images, labels = mixing(torch.stack([image, other]), torch.tensor([label, its_label]))
        return images[0], labels[0]
