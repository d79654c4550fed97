"""Networks of torchvision."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

from torch import nn
from torchvision import models


def names() -> list[str]:
    found: list[str] = models.list_models()
    return found


def build(name: str, pretrained: bool, arguments: dict[str, Any]) -> nn.Module:
    options: dict[str, Any] = {"weights": "DEFAULT" if pretrained else None}
    if "weights_backbone" in inspect.signature(models.get_model_builder(name)).parameters:
        options["weights_backbone"] = None  # detectors would download those of their backbone
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The default weight initialization of", FutureWarning)
        model: nn.Module = models.get_model(name, **(options | arguments))
    return model


def input_size(name: str) -> tuple[int, ...] | None:
    """Return the crop of the best weights; None for videos and without a fixed size."""
    weights = getattr(models.get_model_weights(name), "DEFAULT", None)
    if weights is None or "min_temporal_size" in weights.meta:
        return None
    crop = getattr(weights.transforms(), "crop_size", None)
    return (3, crop[0], crop[-1]) if crop else None
