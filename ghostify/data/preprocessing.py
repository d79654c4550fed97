"""From a decoded image to the input of a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from statistics import fmean
from typing import Any

from PIL import Image
from torch import Tensor, nn
from torchvision import models
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms import functional as F

from ghostify.types import Augmentation, GhostifyError, ModelSource

_MODES = {1: "L", 3: "RGB"}
_RANDAUGMENT_OPERATIONS = 2
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Preprocessing:
    """Resizing, center crop and normalization of an image.

    Attributes:
        mean: subtracted from pixels in [0, 1], one value for each channel.
        std: divides them, one value for each channel.
        interpolation: ``bicubic`` or ``bilinear``.
        crop: side of the input over the shorter side of the resized image, above 0, at most 1.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str = "bicubic"
    crop: float = 0.875

    def __post_init__(self) -> None:
        if len(self.mean) != len(self.std):
            raise GhostifyError(f"`std` (={self.std}) must have as many values as mean")
        if not all(value > 0 for value in self.std):
            raise GhostifyError(f"`std` (={self.std}) must be above 0")
        if self.interpolation not in ("bicubic", "bilinear"):
            raise GhostifyError(
                f"`interpolation` (={self.interpolation!r}) must be bicubic or bilinear"
            )
        if not 0 < self.crop <= 1:
            raise GhostifyError(f"`crop` (={self.crop}) must be above 0, at most 1")


_IMAGENET = Preprocessing((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def preprocessing_of(
    model: nn.Module, source: ModelSource | None = None, *, channels: int = 3
) -> Preprocessing:
    """Return the preprocessing that ``model`` or its library declares.

    It reads timm's ``pretrained_cfg`` and the best weights of torchvision. Other networks get the
    values of ImageNet for 3 channels, and mean and standard deviation 0.5 for any other number.

    Args:
        source: names a network of torchvision; its ``normalization`` overrides mean and std.
        channels: of the input.
    """
    found = _from_timm(model) or _from_torchvision(source.name if source else "")
    if found is None:
        default = Preprocessing((0.5,) * channels, (0.5,) * channels)
        found = _IMAGENET if channels == 3 else default
    elif len(found.mean) != channels:  # the network was built for others
        mean, std = ((fmean(values),) * channels for values in (found.mean, found.std))
        found = replace(found, mean=mean, std=std)
    if source is None or source.normalization is None:
        return found
    for values in source.normalization:
        if len(values) not in (1, channels):
            raise GhostifyError(
                f"`normalization` (={tuple(values)}) must have 1 or {channels} values, one for "
                "each channel of the input"
            )
    mean, std = (tuple(values) * (channels // len(values)) for values in source.normalization)
    return replace(found, mean=mean, std=std)


def _from_timm(model: nn.Module) -> Preprocessing | None:
    config = getattr(model, "pretrained_cfg", None)
    if not isinstance(config, Mapping) or not (config.get("mean") and config.get("std")):
        return None
    return Preprocessing(
        tuple(config["mean"]),
        tuple(config["std"]),
        _supported(config.get("interpolation")),
        config.get("crop_pct") or _IMAGENET.crop,
    )


def _from_torchvision(name: str) -> Preprocessing | None:
    library, _, name = name.rpartition(":")
    if library not in ("", "torchvision") or name not in models.list_models():
        return None
    weights = getattr(models.get_model_weights(name), "DEFAULT", None)
    if weights is None:
        return None
    transforms = weights.transforms()
    if not hasattr(transforms, "mean"):  # detectors normalize inside
        return Preprocessing((0.0,) * 3, (1.0,) * 3, "bilinear", 1.0)
    crop: Sequence[int] | None = getattr(transforms, "crop_size", None)
    return Preprocessing(
        tuple(transforms.mean),
        tuple(transforms.std),
        _supported(transforms.interpolation.value),
        min(crop[0] / transforms.resize_size[0], 1.0) if crop else 1.0,
    )


def _supported(interpolation: str | None) -> str:
    return "bilinear" if interpolation == "bilinear" else "bicubic"


class Transform:
    """Resize, crop, augment and normalize an image of PIL to an input ``(C, H, W)``.

    Augmentation draws from torch's default generator; mixing is left to `TrainingDataset`. Images
    must be decoded in ``mode`` of PIL.
    """

    def __init__(
        self,
        input_size: tuple[int, ...],
        preprocessing: Preprocessing,
        augmentation: Augmentation = Augmentation(),  # noqa: B008  # frozen
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
        if len(preprocessing.mean) != channels:
            raise GhostifyError(
                f"`mean` (={preprocessing.mean}) must have {channels} values, one for each channel"
            )
        self.input_size = input_size
        self.mode = _MODES[channels]
        self.augmentation = augmentation
        self._preprocessing = preprocessing
        self._interpolation = InterpolationMode(preprocessing.interpolation)
        self._steps: list[Any] = [self._center_crop]
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

    def with_augmentation(self, augmentation: Augmentation) -> Transform:
        return Transform(self.input_size, self._preprocessing, augmentation)

    def _center_crop(self, image: Image.Image) -> Image.Image:
        """Crop the center, ``crop`` of the resized image along the tighter side."""
        size = self.input_size[1:]
        least = [int(side / self._preprocessing.crop + _ROUNDING) for side in size]
        scale = max(least[0] / image.height, least[1] / image.width)
        side = ceil(scale * min(image.size) - _ROUNDING)
        resized = F.resize(image, side, self._interpolation)
        return F.center_crop(resized, size)  # type: ignore[no-any-return]
