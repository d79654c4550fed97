"""From a decoded image to the input of a network."""

from __future__ import annotations

from math import ceil
from typing import Any

from PIL import Image
from torch import Tensor
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms import functional as F

from ghostify.types import Augmentation, GhostifyError, Preprocessing
from ghostify.types.preprocessing import ENLARGED

_MODES = {1: "L", 3: "RGB"}
_RANDAUGMENT_OPERATIONS = 2
_ROUNDING = 1e-6
_ENLARGED = 2


class Transform:
    """Resize, crop, augment and normalize an image of PIL to an input ``(C, H, W)``.

    Augmentation draws from torch's default generator; mixing is left to `TrainingDataset`. Images
    must be decoded in ``mode`` of PIL. ``str`` says what is done to them, and whether the
    ``largest`` one (height and width) is enlarged to twice its size or more.
    """

    def __init__(
        self,
        input_size: tuple[int, ...],
        preprocessing: Preprocessing,
        augmentation: Augmentation = Augmentation(),  # noqa: B008  # frozen
        largest: tuple[int, int] | None = None,
    ) -> None:
        if len(input_size) != 3:
            shape = "x".join(map(str, input_size))
            raise GhostifyError(f"`input_size` (={shape}) must be channels x height x width")
        channels, *size = input_size
        if channels not in _MODES:
            raise GhostifyError(
                f"image files have 1 or 3 channels, the model takes {channels}: use a file with a "
                "tensor (N, C, H, W), or a DataLoader"
            )
        for name in ("mean", "std"):
            if len(values := getattr(preprocessing, name)) not in (1, channels):
                raise GhostifyError(
                    f"`{name}` (={values}) must have 1 or {channels} values, one for each channel"
                )
        if preprocessing.resize is not None and preprocessing.resize < min(size):
            raise GhostifyError(
                f"`resize` (={preprocessing.resize}) must be at least the input's shorter side, "
                f"{min(size)}"
            )
        self.input_size = input_size
        self.mode = _MODES[channels]
        self.augmentation = augmentation
        self._preprocessing = preprocessing
        self._largest = largest
        self._interpolation = InterpolationMode(preprocessing.interpolation)
        self._steps: list[Any] = [self._fit]
        if augmentation.crop_scale < 1:
            scale = (augmentation.crop_scale, 1.0)
            self._steps = [v2.RandomResizedCrop(size, scale, interpolation=self._interpolation)]
        if augmentation.flip:
            self._steps.append(v2.RandomHorizontalFlip())
        if augmentation.randaugment:
            self._steps.append(v2.RandAugment(_RANDAUGMENT_OPERATIONS, augmentation.randaugment))

    def __call__(self, image: Image.Image) -> Tensor:
        for step in self._steps:
            image = step(image)
        mean, std = self._preprocessing.mean, self._preprocessing.std
        inputs: Tensor = F.normalize(F.to_tensor(image), mean, std, inplace=True)
        return inputs

    def __str__(self) -> str:
        text = self._preprocessing.describe(self.input_size)
        shorter = self._preprocessing.resize or min(self.input_size[1:])
        if self._largest is None or shorter < _ENLARGED * min(self._largest):
            return text
        return f"{text}; {ENLARGED} {'x'.join(map(str, self._largest))}"

    def with_augmentation(self, augmentation: Augmentation) -> Transform:
        return Transform(self.input_size, self._preprocessing, augmentation, self._largest)

    def _fit(self, image: Image.Image) -> Image.Image:
        """Resize to cover a box of the input's aspect ratio, and crop the center."""
        size, preprocessing = self.input_size[1:], self._preprocessing
        shorter = min(size)
        resize = preprocessing.resize or shorter
        box = [int(resize * side / shorter + _ROUNDING) for side in size]
        if preprocessing.crop == "center":
            scale = max(box[0] / image.height, box[1] / image.width)
            box = [ceil(scale * min(image.size) - _ROUNDING)]
        resized = F.resize(image, box, self._interpolation)
        return F.center_crop(resized, size)  # type: ignore[no-any-return]
