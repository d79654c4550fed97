"""The networks of torchvision, of the GhostNet papers, and of timm."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple

from torch import nn
from torchvision import models

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
"""Factories of the GhostNet papers by name."""

_IN_TIMM = {f"ghostnet{variant}" for variant in ("_100", "v2_100", "v2_130", "v2_160", "v3_100")}
"""Networks whose weights timm downloads, under the same names."""


class Library(NamedTuple):
    """A library of networks.

    Attributes:
        names: returns all names; none if the library is not installed.
        build: builds a network from a name, its weights, and keyword arguments. Weights are a name,
            True for the library's default, or False for a random initialization.
        weights: returns the name of the default weights of a network, and the built network's own
            where the library keeps it there.
    """

    names: Callable[[], list[str]]
    build: Callable[[str, bool | str, dict[str, Any]], nn.Module]
    weights: Callable[[str, nn.Module], str | None]


def _build_torchvision(name: str, pretrained: bool | str, arguments: dict[str, Any]) -> nn.Module:
    weights = "DEFAULT" if pretrained is True else pretrained or None
    options: dict[str, Any] = {"weights": weights}
    if "weights_backbone" in inspect.signature(models.get_model_builder(name)).parameters:
        options["weights_backbone"] = None  # detectors would download those of their backbone
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The default weight initialization of", FutureWarning)
        model: nn.Module = models.get_model(name, **(options | arguments))
    return model


def torchvision_input_size(name: str) -> tuple[int, ...] | None:
    """Return the crop of the best weights; None for videos and without a fixed size."""
    weights = getattr(models.get_model_weights(name), "DEFAULT", None)
    if weights is None or "min_temporal_size" in weights.meta:
        return None
    crop = getattr(weights.transforms(), "crop_size", None)
    return (3, crop[0], crop[-1]) if crop else None


def _build_ghostify(name: str, pretrained: bool | str, arguments: dict[str, Any]) -> nn.Module:
    family = name.rpartition("_")[0]
    if "width" in arguments and family in _FAMILIES:
        raise GhostifyError(f"the width is in its name: use ghostify:{family} with width=")
    model = NETWORKS[name](**arguments)
    if pretrained:
        model.load_state_dict(_download(name, arguments))
    return model


def _download(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    if name not in _IN_TIMM:
        raise GhostifyError("it has no published weights: load a file with load_weights")
    if find_spec("timm") is None:
        raise GhostifyError("timm downloads the weights and is not installed: pip install timm")
    known = {"num_classes": "num_classes", "in_channels": "in_chans"}
    options = {known[key]: value for key, value in arguments.items() if key in known}
    return _build_timm(name, True, options).state_dict()


def _timm_names() -> list[str]:
    """Return architectures, and architectures with the tag of their weights."""
    if find_spec("timm") is None:
        return []
    timm = import_module("timm")
    return [*timm.list_models(), *timm.list_pretrained()]


def _build_timm(name: str, pretrained: bool | str, arguments: dict[str, Any]) -> nn.Module:
    if isinstance(pretrained, str):
        name = f"{name.partition('.')[0]}.{pretrained}"
    create: Callable[..., nn.Module] = import_module("timm").create_model
    return create(name, pretrained=bool(pretrained), **arguments)


def _timm_weights(_: str, model: Any) -> str | None:
    return getattr(model, "pretrained_cfg", {}).get("tag") or None


def _torchvision_weights(name: str, _: nn.Module) -> str | None:
    default = getattr(models.get_model_weights(name), "DEFAULT", None)
    return default and default.name


LIBRARIES = {
    "torchvision": Library(models.list_models, _build_torchvision, _torchvision_weights),
    "ghostify": Library(lambda: list(NETWORKS), _build_ghostify, lambda *_: "timm"),
    "timm": Library(_timm_names, _build_timm, _timm_weights),
}
