"""From a decoded image to the input of a network."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn, tensor
from torchvision.transforms import InterpolationMode, v2

from ghostify.data.preprocessing import Preprocessing
from ghostify.types import Augmentation, GhostifyError

_MODES = {1: "L", 3: "RGB"}
_FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
_RANDAUGMENT_OPERATIONS = 2


class Transform:
    """Resize, crop, augment and normalize an image of PIL to an input ``(C, H, W)``.

    Augmentation draws from torch's default generator. `TrainingDataset` mixes images.

    Args:
        input_size: ``(C, H, W)``.
        preprocessing: of the network.
        augmentation: none by default.

    Attributes:
        mode: the mode of PIL that images are decoded in.

    Raises:
        GhostifyError: if inputs of this size are not images, or ``preprocessing`` is for another
            number of channels.
    """

    def __init__(
        self,
        input_size: tuple[int, ...],
        preprocessing: Preprocessing,
        augmentation: Augmentation = Augmentation(),  # noqa: B008  # frozen
    ) -> None:
        if len(input_size) != 3:
            shape = "x".join(map(str, input_size))
            raise GhostifyError(f"input_size (={shape}) must be channels x height x width")
        channels, *size = input_size
        if channels not in _MODES:
            raise GhostifyError(
                f"image files have 1 or 3 channels, the model takes {channels}: use a file with a "
                "tensor (N, C, H, W), or a DataLoader"
            )
        if len(preprocessing.mean) != channels:
            raise GhostifyError(
                f"mean (={preprocessing.mean}) must have {channels} values, one for each channel"
            )
        self.input_size = input_size
        self.mode = _MODES[channels]
        self._preprocessing = preprocessing
        self._mean = tensor(preprocessing.mean).view(-1, 1, 1)
        self._std = tensor(preprocessing.std).view(-1, 1, 1)
        self._crop: nn.Module | None = None
        if augmentation.crop_scale < 1:
            interpolation = InterpolationMode(preprocessing.interpolation)
            scale = (augmentation.crop_scale, 1.0)
            self._crop = v2.RandomResizedCrop(size, scale, interpolation=interpolation)
        self._augment: list[nn.Module] = []
        if augmentation.flip:
            self._augment.append(v2.RandomHorizontalFlip())
        if augmentation.randaugment:
            self._augment.append(v2.RandAugment(_RANDAUGMENT_OPERATIONS, augmentation.randaugment))

    def __call__(self, image: Image.Image) -> Tensor:
        image = self._center_crop(image) if self._crop is None else self._crop(image)
        for step in self._augment:
            image = step(image)
        return _to_tensor(image).sub_(self._mean).div_(self._std)

    def with_augmentation(self, augmentation: Augmentation) -> Transform:
        return Transform(self.input_size, self._preprocessing, augmentation)

    def _center_crop(self, image: Image.Image) -> Image.Image:
        height, width = self.input_size[1:]
        size = _resized(image.size, (width, height), self._preprocessing.crop)
        image = image.resize(size, _FILTERS[self._preprocessing.interpolation])
        left, top = round((image.width - width) / 2), round((image.height - height) / 2)
        return image.crop((left, top, left + width, top + height))


def _to_tensor(image: Image.Image) -> Tensor:
    """``(C, H, W)`` in [0, 1]."""
    pixels = np.array(image)
    return torch.from_numpy(pixels).view(*pixels.shape[:2], -1).permute(2, 0, 1) / 255


def _resized(size: tuple[int, int], target: tuple[int, int], crop: float) -> tuple[int, int]:
    """The size to resize to, so that ``target`` is ``crop`` of it along the tighter side."""
    least = [_floor(side / crop) for side in target]
    scale = max(wanted / side for wanted, side in zip(least, size, strict=True))
    width, height = (
        max(wanted, _floor(side * scale)) for wanted, side in zip(least, size, strict=True)
    )
    return width, height


def _floor(value: float) -> int:
    """Round down, with a tolerance for rounding errors."""
    return int(value + 1e-6)
