"""Networks of timm, where it is installed."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from torch import nn


def names() -> list[str]:
    """Architectures and, behind a dot, their named weights; empty where timm is missing."""
    if find_spec("timm") is None:
        return []
    timm = import_module("timm")
    return [*timm.list_models(), *timm.list_pretrained()]


def make(name: str, pretrained: bool, arguments: dict[str, Any]) -> nn.Module:
    model: nn.Module = import_module("timm").create_model(name, pretrained=pretrained, **arguments)
    return model


def input_size(name: str) -> tuple[int, ...] | None:
    """Left to the network itself, which carries its data configuration."""
    return None
