"""Trained networks, and the images that they are compressed with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accuracy import debian_photographs, digits
from accuracy.networks import trained
from accuracy.photographs import SIZE, efficientnet_lite0
from recovery_tasks.tasks import TASKS as RECOVERY_TASKS
from recovery_tasks.tasks import TEACHING
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import ghostify
from ghostify.data.loaders import Data
from ghostify.types import ModelSource, Preprocessing

BATCH = 96


@dataclass(frozen=True)
class Task:
    """A trained network, and what it is compressed with.

    Attributes:
        title: the network and what it does.
        network: returns it, from the cache folder if it was trained before.
        data: returns images to train on and others to validate on, by network and cache folder.
        drops: allowed losses in percentage points.
        minutes: time for each.
    """

    title: str
    network: Callable[[Path], nn.Module]
    data: Callable[[nn.Module, Path], Data]
    drops: tuple[float, ...]
    minutes: float


def _of_digits(name: str) -> Callable[[Path], nn.Module]:
    return lambda cache: trained(name, 0, cache / "ghostify-accuracy")


def _two_digits(model: nn.Module, cache: Path) -> Data:
    """20,000 pictures to train on, and 6,000 of handwriting that the network has never seen."""
    train = digits.dataset(20_000, test=False, seed=3)
    return _loaders("pairs of digits", train, digits.dataset(6000, test=True, seed=4))


def _photographs(model: nn.Module, cache: Path) -> Data:
    """Photographs without labels."""
    folder = cache / "ghostify-accuracy" / "photographs"
    debian_photographs.make(folder)
    imagenet = Preprocessing((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), resize=SIZE * 8 // 7)
    augmentation = ghostify.Augmentation(crop_scale=0.2, flip=True, mixup=0.2)
    return ghostify.open_data(
        folder, model, ModelSource("efficientnet-lite0", input_size=(3, SIZE, SIZE)),
        batch_size=48, labels=False, augmentation=augmentation, preprocessing=imagenet,
    )  # fmt: skip


_SHAPES = next(task for task in RECOVERY_TASKS if task.name.startswith("segmenter"))


def _shapes(model: nn.Module, cache: Path) -> Data:
    """Pictures of shapes with a class for each pixel: 4,000 to train on, 2,000 others."""
    images, labels = _SHAPES.problem.data(TEACHING + 4000, test=False, seed=1)
    validation = _SHAPES.problem.data(2000, test=True, seed=1)
    return _loaders("shapes", (images[TEACHING:], labels[TEACHING:]), validation)


def _loaders(name: str, train: tuple[Tensor, Tensor], validation: tuple[Tensor, Tensor]) -> Data:
    batches: DataLoader[Any] = DataLoader(TensorDataset(*train), BATCH, shuffle=True)
    return Data(name, batches, DataLoader(TensorDataset(*validation), BATCH))


def _segmenter(cache: Path) -> nn.Module:
    return _SHAPES.original(cache / "ghostify-recovery", 1)


def _lite0(cache: Path) -> nn.Module:
    return efficientnet_lite0()


TASKS = {
    "resnet20": Task("ResNet-20, digits", _of_digits("ResNet-20"), _two_digits, (0.5, 2), 5),
    "vgg16": Task("VGG-16, digits", _of_digits("VGG-16"), _two_digits, (0.5, 2), 5),
    "segmenter": Task("U-Net, shapes", _segmenter, _shapes, (1,), 5),
    "lite0": Task("EfficientNet-Lite0, photographs", _lite0, _photographs, (20,), 12),
}
