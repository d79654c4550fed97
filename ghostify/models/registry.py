"""From what the user writes for MODEL to a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from ghostify.models import from_ghostify, from_timm, from_torchvision
from ghostify.models.user_code import make_from_code
from ghostify.types import GhostifyError, ModelSource
from ghostify.types.errors import first_line, near


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


@dataclass(frozen=True)
class Library:
    """A package of named networks.

    Attributes:
        names: all names it knows.
        make: a network from its name, whether to download weights, and keyword arguments.
        input_size: shape of one input of a named network without the batch, if the library says.
    """

    names: Callable[[], list[str]]
    make: Callable[[str, bool, dict[str, Any]], nn.Module]
    input_size: Callable[[str], tuple[int, ...] | None]


LIBRARIES: dict[str, Library] = {
    "torchvision": Library(
        from_torchvision.names, from_torchvision.make, from_torchvision.input_size
    ),
    "ghostify": Library(from_ghostify.names, from_ghostify.make, from_ghostify.input_size),
    "timm": Library(from_timm.names, from_timm.make, from_timm.input_size),
}
_DEFAULT = "torchvision"
_OWN_OPTIONS = {
    "pretrained": "--pretrained",
    "weights": "--weights",
    "checkpoint_path": "--weights",
    "weights_backbone": "--weights",
}


def names() -> list[str]:
    """Every name that MODEL can be, apart from the user's own code.

    Networks of torchvision need no prefix, those of other libraries have the library's.
    """
    found = list(from_torchvision.names())
    for prefix, library in LIBRARIES.items():
        if prefix != _DEFAULT:
            found += [f"{prefix}:{name}" for name in library.names()]
    return found


def build(source: ModelSource, *, pretrained: bool = False) -> tuple[nn.Module, ModelSource]:
    """Make the network that ``source`` names.

    ``source.name`` is ``resnet50`` (torchvision), ``torchvision:NAME``, ``timm:NAME``,
    ``ghostify:NAME``, ``package.module:factory`` or ``path/to/file.py:factory``.

    Returns:
        The network, and ``source`` with the input size filled in where it was open and the
        library or the network itself says it.

    Raises:
        GhostifyError: if the name is unknown or the factory fails.
    """
    for argument in source.arguments:
        if argument in _OWN_OPTIONS:
            raise GhostifyError(
                f"model argument {argument!r}: use {_OWN_OPTIONS[argument]} instead"
            )
    prefix, colon, name = source.name.rpartition(":")
    if colon and prefix not in LIBRARIES:
        if pretrained:
            raise GhostifyError("pretrained weights are for named networks; use --weights FILE")
        model = make_from_code(prefix, name, source.arguments)
        size = declared_input_size(model)
    else:
        library = LIBRARIES[prefix or _DEFAULT]
        model = _make_named(library, source, name, pretrained)
        size = library.input_size(name) or declared_input_size(model)
    return model, replace(source, input_size=source.input_size or size)


def is_named(source: ModelSource) -> bool:
    """Whether ``source`` is a network of an installed library, and not the user's own code."""
    prefix, colon, _ = source.name.rpartition(":")
    return not colon or prefix in LIBRARIES


def example(source: ModelSource) -> Tensor:
    """A batch of one input for the network: zeros, since only the shape counts.

    Raises:
        GhostifyError: if the input size is not known.
    """
    if source.input_size is None:
        raise GhostifyError(f"{source.name} does not say its input size: give --input 3x224x224")
    try:
        return torch.zeros(1, *source.input_size)
    except RuntimeError as error:
        shape = "x".join(map(str, source.input_size))
        raise GhostifyError(f"an input of {shape} is more than there is memory for") from error


def _make_named(library: Library, source: ModelSource, name: str, pretrained: bool) -> nn.Module:
    known = library.names()
    if not known:
        library_name = source.name.partition(":")[0]
        raise GhostifyError(f"{library_name} is not installed: pip install {library_name}")
    if name.endswith(".py"):
        raise GhostifyError(f"{name} does not say what to call: {name}:FACTORY")
    if name not in known:
        raise GhostifyError(f"unknown model {source.name!r}{near(source.name, names())}")
    try:
        return library.make(name, pretrained, source.arguments)
    except OSError as error:
        raise GhostifyError(
            f"could not download the weights of {source.name} ({first_line(error)}): "
            "check the network, or give a file with --weights"
        ) from error
    except Exception as error:
        raise GhostifyError(f"{source.name} cannot be built: {first_line(error)}") from error
