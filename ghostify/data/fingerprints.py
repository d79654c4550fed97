"""Recognize images that a network was fitted to, by names and contents."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any
from zlib import crc32

import torch
from torch import nn

from ghostify.data.datasets import ImageDataset
from ghostify.data.images import Images
from ghostify.data.loaders import Data
from ghostify.data.tensors import TensorImages
from ghostify.types import SeenImages
from ghostify.types.seen_images import MOST


def remember_images(model: nn.Module, data: Any) -> None:
    """Note on a model that it was fitted to these images, if they can be recognized.

    Args:
        model: a converted network.
        data: a `Data`, of which the training images count; a `Calibration`; or a DataLoader.
    """
    images = known_images(data)
    if images is None or not len(images):
        return
    keys = sorted((_key(images, index), index) for index in range(len(images)))
    new = {_fingerprint(images, index, key) for key, index in keys[:MOST]}
    SeenImages.of({*new, *(SeenImages.find(model) or ())}).attach(model)


def has_seen(models: Iterable[nn.Module], data: Any) -> bool:
    """Whether one of the models was fitted to some of these images, as far as is known."""
    seen = {each for model in models for each in SeenImages.find(model) or ()}
    images = known_images(data)
    if images is None or not seen:
        return False
    keys = {int(each[:8], 16) for each in seen}
    found = ((_key(images, index), index) for index in range(len(images)))
    return any(key in keys and _fingerprint(images, index, key) in seen for key, index in found)


def known_images(data: Any) -> Images | TensorImages | None:
    """Return the images that `open_data` or `open_calibration` found; None for other data."""
    data = data.train if isinstance(data, Data) else data
    dataset = getattr(data, "dataset", None)
    images = dataset.images if isinstance(dataset, ImageDataset) else dataset
    return images if isinstance(images, Images | TensorImages) else None


def _fingerprint(images: Images | TensorImages, index: int, key: int) -> str:
    return f"{key:08x}{crc32(_content(images, index)):08x}"


def _key(images: Images | TensorImages, index: int) -> int:
    """Return what is compared first: a checksum of the file's name, or of a tensor."""
    if isinstance(images, TensorImages):
        return crc32(_content(images, index))
    return crc32(Path(images.names[index]).name.encode(errors="surrogatepass"))


def _content(images: Images | TensorImages, index: int) -> bytes:
    if isinstance(images, TensorImages):
        pixels = images.images[index].detach().cpu().contiguous()
        return pixels.view(torch.uint8).numpy().tobytes()
    item = images.items[index]
    try:
        return item.read_bytes() if isinstance(item, Path) else item.tobytes()
    except OSError:  # skipped in training, too
        return b""
