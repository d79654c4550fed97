"""How a network expects images to be preprocessed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from torch import nn
from torchvision import models

from ghostify.types import GhostifyError, ModelSource


@dataclass(frozen=True)
class Preprocessing:
    """Resizing, center crop and normalization of an image.

    Attributes:
        mean: subtracted from pixels in [0, 1], one value for each channel.
        std: divides them, one value for each channel.
        interpolation: ``bicubic`` or ``bilinear``.
        crop: side of the input over the shorter side of the resized image, above 0, at most 1.

    Raises:
        GhostifyError: if a value is out of range.
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

    Raises:
        GhostifyError: if the normalization does not fit the number of channels.
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
