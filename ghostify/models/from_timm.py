"""Networks of timm."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from torch import nn


def names() -> list[str]:
    """Return architectures, and architectures with the tag of their weights; none without timm."""
    if find_spec("timm") is None:
        return []
    timm = import_module("timm")
    return [*timm.list_models(), *timm.list_pretrained()]


def build(name: str, pretrained: bool, arguments: dict[str, Any]) -> nn.Module:
    model: nn.Module = import_module("timm").create_model(name, pretrained=pretrained, **arguments)
    return model


def input_size(name: str) -> None:
    """Return None, since networks of timm declare it themselves."""
