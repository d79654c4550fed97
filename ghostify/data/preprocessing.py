"""How a network was trained to see images, as far as it says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import nn
from torchvision import models

from ghostify.types import GhostifyError, Normalization


@dataclass(frozen=True)
class Preprocessing:
    """What is done to an image before a network sees it.

    Attributes:
        mean: of each channel in [0, 1], which is taken off.
        std: of each channel in [0, 1], by which it is divided.
        interpolation: ``bicubic`` or ``bilinear``.
        crop: the input's part of the resized image's shorter side.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str = "bicubic"
    crop: float = 0.875


_IMAGENET = Preprocessing((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def preprocessing_of(
    model: nn.Module,
    source_name: str,
    *,
    channels: int = 3,
    normalization: Normalization | None = None,
) -> Preprocessing:
    """What ``model`` or the library that it is from says, or else what is usual.

    Understood are timm's ``pretrained_cfg`` and torchvision's best weights. Usual are the numbers
    of ImageNet for 3 channels, and 0.5 for any other number.

    Args:
        source_name: MODEL as the user wrote it, such as ``resnet50`` or ``net.py:build``.
        channels: of the model's input.
        normalization: goes before what is said, and what is usual.

    Raises:
        GhostifyError: if ``normalization`` is none for so many channels.
    """
    said = _of_timm(model) or _of_torchvision(source_name)
    found = _usual(channels) if said is None else _for_channels(said, channels)
    if normalization is None:
        return found
    mean, std = (_of_each(numbers, channels) for numbers in normalization)
    return replace(found, mean=mean, std=std)


def _usual(channels: int) -> Preprocessing:
    return _IMAGENET if channels == 3 else Preprocessing((0.5,) * channels, (0.5,) * channels)


def _of_each(numbers: Sequence[float], channels: int) -> tuple[float, ...]:
    if len(numbers) not in (1, channels):
        raise GhostifyError(
            f"{len(numbers)} numbers to normalise by, but the input has {channels} channels: give "
            "one for each, or one for all"
        )
    return tuple(numbers) * (channels // len(numbers))


def _of_timm(model: nn.Module) -> Preprocessing | None:
    settings = getattr(model, "pretrained_cfg", None)
    if not isinstance(settings, Mapping) or not (settings.get("mean") and settings.get("std")):
        return None
    return Preprocessing(
        tuple(settings["mean"]),
        tuple(settings["std"]),
        _known(settings.get("interpolation")),
        settings.get("crop_pct") or _IMAGENET.crop,
    )


def _of_torchvision(source_name: str) -> Preprocessing | None:
    library, _, name = source_name.rpartition(":")
    if library not in ("", "torchvision") or name not in models.list_models():
        return None
    weights = getattr(models.get_model_weights(name), "DEFAULT", None)
    return None if weights is None else _of_transforms(weights.transforms())


def _of_transforms(transforms: Any) -> Preprocessing:
    """Detectors' transforms have no mean: they normalise inside."""
    if not hasattr(transforms, "mean"):
        return Preprocessing((0.0,) * 3, (1.0,) * 3, "bilinear", 1.0)
    crop: Sequence[int] | None = getattr(transforms, "crop_size", None)
    return Preprocessing(
        tuple(transforms.mean),
        tuple(transforms.std),
        _known(transforms.interpolation.value),
        min(crop[0] / transforms.resize_size[0], 1.0) if crop else 1.0,
    )


def _known(interpolation: str | None) -> str:
    return "bilinear" if interpolation == "bilinear" else "bicubic"


def _for_channels(said: Preprocessing, channels: int) -> Preprocessing:
    """The average for each channel, where a network was made for another number of them."""
    if len(said.mean) == channels:
        return said
    mean, std = (sum(numbers) / len(numbers) for numbers in (said.mean, said.std))
    return Preprocessing((mean,) * channels, (std,) * channels, said.interpolation, said.crop)
