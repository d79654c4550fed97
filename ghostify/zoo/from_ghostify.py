"""Networks that ghostify has itself: those of the GhostNet papers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from ghostify.spec import GhostifyError
from ghostify.zoo.family.cifar import CIFAR_NETWORKS

NETWORKS: dict[str, Callable[..., nn.Module]] = {**CIFAR_NETWORKS}


def names() -> list[str]:
    return list(NETWORKS)


def make(name: str, pretrained: bool, arguments: dict[str, Any]) -> nn.Module:
    if pretrained:
        raise GhostifyError("there are no weights to download: give a file with --weights")
    return NETWORKS[name](**arguments)


def input_size(name: str) -> tuple[int, ...]:
    """Of CIFAR's images, or of ImageNet's."""
    return (3, 32, 32) if name in CIFAR_NETWORKS else (3, 224, 224)
