"""Networks that ghostify has itself: those of the GhostNet papers."""

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

NETWORKS: dict[str, Callable[..., nn.Module]] = {
    **CIFAR_NETWORKS,
    "ghostnet": ghostnet,
    "ghostnet_050": partial(ghostnet, 0.5),
    "ghostnet_100": partial(ghostnet, 1.0),
    "ghostnet_130": partial(ghostnet, 1.3),
    "ghostnetv2": ghostnetv2,
    "ghostnetv2_100": partial(ghostnetv2, 1.0),
    "ghostnetv2_130": partial(ghostnetv2, 1.3),
    "ghostnetv2_160": partial(ghostnetv2, 1.6),
    "ghostnetv3": ghostnetv3,
    "ghostnetv3_050": partial(ghostnetv3, 0.5),
    "ghostnetv3_100": partial(ghostnetv3, 1.0),
    "ghostnetv3_130": partial(ghostnetv3, 1.3),
    "ghostnetv3_160": partial(ghostnetv3, 1.6),
    "retinanet_ghostnet": retinanet_ghostnet,
    "retinanet_ghostnet_110": partial(retinanet_ghostnet, 1.1),
    "fasterrcnn_ghostnet": fasterrcnn_ghostnet,
    "fasterrcnn_ghostnet_110": partial(fasterrcnn_ghostnet, 1.1),
}
"""By name, what makes each with random weights. A GhostNet without a number takes ``width``."""

_PUBLISHED = {
    "ghostnet_100",
    "ghostnetv2_100",
    "ghostnetv2_130",
    "ghostnetv2_160",
    "ghostnetv3_100",
}
"""Those that timm has weights of, by the same names."""


def names() -> list[str]:
    return list(NETWORKS)


def make(name: str, pretrained: bool, arguments: dict[str, Any]) -> nn.Module:
    """A network without weights unless asked; timm downloads the published ones.

    Raises:
        GhostifyError: if none are published, or timm is not installed, or a width is given to a
            network that has one in its name.
    """
    family = name.rpartition("_")[0]
    if "width" in arguments and family in NETWORKS:
        raise GhostifyError(f"its name says its width; ghostify:{family} takes any")
    model = NETWORKS[name](**arguments)
    if pretrained:
        model.load_state_dict(_published(name, arguments))
    return model


def input_size(name: str) -> tuple[int, ...] | None:
    """That of CIFAR's images; the others say themselves what they have been made for."""
    return (3, 32, 32) if name in CIFAR_NETWORKS else None


def _published(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    if name not in _PUBLISHED:
        raise GhostifyError("no weights of it are published: give a file with --weights")
    if find_spec("timm") is None:
        raise GhostifyError("timm downloads the weights and is not installed: pip install timm")
    known = {"num_classes": "num_classes", "in_channels": "in_chans"}
    options = {known[key]: value for key, value in arguments.items() if key in known}
    timm = import_module("timm")
    state: dict[str, Any] = timm.create_model(name, pretrained=True, **options).state_dict()
    return state
