"""The preprocessing that networks and their libraries declare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean

from torch import nn
from torchvision import models

from ghostify.types import ModelSource, Preprocessing
from ghostify.types.preprocessing import ASSUMED, CROPS, INTERPOLATIONS

_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_CROP_PCT = 0.875  # timm's, of networks that declare none


def preprocessing_of(
    model: nn.Module,
    source: ModelSource | None = None,
    *,
    input_size: tuple[int, ...],
    weights: str = "DEFAULT",
) -> Preprocessing:
    """Return the preprocessing that ``source``, ``model`` or its library declares.

    It reads timm's ``pretrained_cfg`` and the weights of torchvision. Other networks see images
    without a zoom, with mean and standard deviation of ImageNet for 3 channels, else 0.5.

    Args:
        source: its ``preprocessing`` goes first; it names a network of torchvision.
        input_size: shape of one input ``(C, H, W)``.
        weights: torchvision's name of the weights.
    """
    if source is not None and source.preprocessing is not None:
        return source.preprocessing
    name = source.name if source else ""
    found = _from_timm(model, input_size) or _from_torchvision(name, weights, input_size)
    channels = input_size[0]
    if found is None:
        mean, std = _IMAGENET if channels == 3 else ((0.5,), (0.5,))
        return Preprocessing(mean, std, origin=ASSUMED)
    if len(found.mean) != channels:  # the network was built for others
        mean, std = ((fmean(values),) for values in (found.mean, found.std))
        found = replace(found, mean=mean, std=std)
    return found


def _from_timm(model: nn.Module, input_size: tuple[int, ...]) -> Preprocessing | None:
    config = getattr(model, "pretrained_cfg", None)
    if not isinstance(config, Mapping) or not (config.get("mean") and config.get("std")):
        return None
    name = ".".join(filter(None, (config.get("architecture"), config.get("tag"))))
    interpolation, crop = config.get("interpolation"), config.get("crop_mode")
    return Preprocessing(
        tuple(config["mean"]),
        tuple(config["std"]),
        interpolation if interpolation in INTERPOLATIONS else "bicubic",
        int(min(input_size[1:]) / (config.get("crop_pct") or _CROP_PCT)),
        crop if crop in CROPS else "center",
        origin=f"timm {name}".strip(),
    )


def _from_torchvision(name: str, weights: str, input_size: tuple[int, ...]) -> Preprocessing | None:
    library, _, name = name.rpartition(":")
    if library not in ("", "torchvision") or name not in models.list_models():
        return None
    found = getattr(models.get_model_weights(name), weights, None)
    if found is None:
        return None
    transforms, origin = found.transforms(), f"torchvision {found.name}"
    if not hasattr(transforms, "mean"):  # detectors normalize inside
        return Preprocessing((0.0,) * 3, (1.0,) * 3, "bilinear", origin=origin)
    crop: Sequence[int] | None = getattr(transforms, "crop_size", None)
    declared = Preprocessing(
        tuple(transforms.mean),
        tuple(transforms.std),
        transforms.interpolation.value,
        transforms.resize_size[0] if crop else None,
        origin=origin,
    )
    return declared.scaled((3, *crop), input_size) if crop else declared
