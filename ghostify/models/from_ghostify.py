"""Networks of the GhostNet papers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from torch import nn

from ghostify.models.cifar import CIFAR_NETWORKS
from ghostify.models.detection import fasterrcnn_ghostnet, retinanet_ghostnet
from ghostify.models.ghostnet import ghostnet, ghostnetv2, ghostnetv3
from ghostify.types import GhostifyError

_FAMILIES: dict[str, tuple[Callable[..., nn.Module], tuple[int, ...]]] = {
    "ghostnet": (ghostnet, (50, 100, 130)),
    "ghostnetv2": (ghostnetv2, (100, 130, 160)),
    "ghostnetv3": (ghostnetv3, (50, 100, 130, 160)),
    "retinanet_ghostnet": (retinanet_ghostnet, (110,)),
    "fasterrcnn_ghostnet": (fasterrcnn_ghostnet, (110,)),
}
"""Factories that take ``width``, and the widths of the papers in percent."""

NETWORKS: dict[str, Callable[..., nn.Module]] = {
    **CIFAR_NETWORKS,
    **{family: factory for family, (factory, _) in _FAMILIES.items()},
    **{
        f"{family}_{percent:03}": partial(factory, percent / 100)
        for family, (factory, widths) in _FAMILIES.items()
        for percent in widths
    },
}
"""Factories by name."""

_IN_TIMM = {
    "ghostnet_100",
    "ghostnetv2_100",
    "ghostnetv2_130",
    "ghostnetv2_160",
    "ghostnetv3_100",
}
"""Networks whose weights timm downloads, under the same names."""


def names() -> list[str]:
    return list(NETWORKS)


def build(name: str, pretrained: bool, arguments: dict[str, Any]) -> nn.Module:
    """Build a network. timm downloads the weights of the authors.

    Raises:
        GhostifyError: if no weights are published, timm is not installed, or ``width`` is passed to
            a network that has a width in its name.
    """
    family = name.rpartition("_")[0]
    if "width" in arguments and family in _FAMILIES:
        raise GhostifyError(f"the width is in its name: use ghostify:{family} with width=")
    model = NETWORKS[name](**arguments)
    if pretrained:
        model.load_state_dict(_download(name, arguments))
    return model


def input_size(name: str) -> tuple[int, ...] | None:
    """Return the size of CIFAR's images; the other networks declare theirs."""
    return (3, 32, 32) if name in CIFAR_NETWORKS else None


def _download(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    if name not in _IN_TIMM:
        raise GhostifyError("it has no published weights: load a file with load_weights")
    if find_spec("timm") is None:
        raise GhostifyError("timm downloads the weights and is not installed: pip install timm")
    known = {"num_classes": "num_classes", "in_channels": "in_chans"}
    options = {known[key]: value for key, value in arguments.items() if key in known}
    timm = import_module("timm")
    state: dict[str, Any] = timm.create_model(name, pretrained=True, **options).state_dict()
    return state
