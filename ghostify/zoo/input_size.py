"""What a network says of its own input."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn


def declared_input_size(model: nn.Module) -> tuple[int, ...] | None:
    """Shape of one input without the batch, such as ``(3, 224, 224)``, where the network says it.

    Understood are timm's ``pretrained_cfg["input_size"]`` and the ``image_size`` and
    ``num_channels`` of a Hugging Face ``config``.
    """
    settings = getattr(model, "pretrained_cfg", None)
    if isinstance(settings, Mapping) and settings.get("input_size"):
        return tuple(settings["input_size"])
    config = getattr(model, "config", None)
    side = getattr(config, "image_size", None)
    if side is None:
        return None
    height, width = (side, side) if isinstance(side, int) else side
    return (getattr(config, "num_channels", 3), height, width)
