"""Networks by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from ghostify.models.identity import attach_origin
from ghostify.models.libraries import LIBRARIES, torchvision_input_size
from ghostify.models.preprocessing import preprocessing_of
from ghostify.models.user_code import call_code
from ghostify.types import GhostifyError, ModelSource
from ghostify.types.errors import first_line, near

_DEFAULT = "torchvision"
_LOAD_WEIGHTS = "load a file with load_weights"
_WEIGHTS_ENDINGS = (".pt", ".pth", ".ckpt", ".bin", ".safetensors")
_RESERVED_ARGUMENTS = {
    "pretrained": "use pretrained=True",
    "weights": _LOAD_WEIGHTS,
    "checkpoint_path": _LOAD_WEIGHTS,
    "weights_backbone": _LOAD_WEIGHTS,
}

_LAYER_NAMES = {
    "act_layer", "aa_layer", "attn_layer", "global_pool", "norm_layer", "pool_type", "stem_type",
}  # fmt: skip
"""Arguments of library factories whose text names a kind of layer."""


def names() -> list[str]:
    """Return the names of all networks of the installed libraries.

    Names of torchvision need no prefix; the others have that of their library, such as ``timm:``.
    """
    return [
        name if prefix == _DEFAULT else f"{prefix}:{name}"
        for prefix, library in LIBRARIES.items()
        for name in library.names()
    ]


def build(source: ModelSource, *, pretrained: bool | str = False) -> tuple[nn.Module, ModelSource]:
    """Build the network that ``source`` names.

    Args:
        source: its name is ``resnet50`` (torchvision), ``torchvision:NAME``, ``timm:NAME``,
            ``ghostify:NAME``, ``package.module:factory`` or ``path/to/file.py:factory``.
        pretrained: download the library's default weights, or those of a name such as
            ``IMAGENET1K_V1``. Default: random weights.

    Returns:
        The network, and ``source`` with the input size and the preprocessing of images that the
        library or the network declares, unless it has them.

    Raises:
        GhostifyError: if the name is unknown, or the network cannot be built or downloaded.
    """
    for argument in _RESERVED_ARGUMENTS.keys() & source.arguments:
        raise GhostifyError(
            f"model argument {argument!r} is reserved: {_RESERVED_ARGUMENTS[argument]} instead"
        )
    prefix, _, name = source.name.rpartition(":")
    size = source.input_size
    if is_named(source):
        model = _build_named(source, prefix or _DEFAULT, name, pretrained)
        if size is None and prefix in ("", _DEFAULT):
            size = torchvision_input_size(name)
    elif pretrained:
        raise GhostifyError(f"pretrained=True is for named networks: {_LOAD_WEIGHTS}")
    else:
        model = call_code(prefix, name, source.arguments)
        if not isinstance(model, nn.Module):
            kind = type(model).__name__
            raise GhostifyError(f"{source.name} returned a {kind}, not an nn.Module")
    size = size or declared_input_size(model)
    preprocessing = source.preprocessing
    if size is not None and len(size) == 3:
        weights = pretrained if isinstance(pretrained, str) else "DEFAULT"
        preprocessing = preprocessing_of(model, source, input_size=size, weights=weights)
    return model, replace(source, input_size=size, preprocessing=preprocessing)


def is_named(source: ModelSource) -> bool:
    """Whether ``source`` names a network of a library, not a factory in the user's code."""
    prefix, colon, _ = source.name.rpartition(":")
    return not colon or prefix in LIBRARIES


def untrusted_arguments(source: ModelSource) -> list[str]:
    """Return the arguments of a named network that could name a file or an address.

    Numbers cannot. A factory of a library may read weights from what others say, such as timm's
    ``pretrained_cfg_overlay``.
    """
    if not is_named(source):
        return []
    return [
        name
        for name, value in source.arguments.items()
        if not _is_numeric(value) and not (name in _LAYER_NAMES and isinstance(value, str))
    ]


def _is_numeric(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_numeric, value))
    return value is None or isinstance(value, bool | int | float)


def declared_input_size(model: nn.Module) -> tuple[int, ...] | None:
    """Return the shape of one input without the batch, if the network declares it.

    It reads timm's ``pretrained_cfg["input_size"]``, and ``image_size`` and ``num_channels`` of the
    ``config`` of Hugging Face.
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


def example(source: ModelSource) -> Tensor:
    """Return a batch of one input, of zeros.

    Raises:
        GhostifyError: if the input size is not known.
    """
    if source.input_size is None:
        raise GhostifyError(
            f"{source.name} does not declare its input size: pass it, such as "
            "input_size=(3, 224, 224)"
        )
    try:
        return torch.zeros(1, *source.input_size)
    except RuntimeError as error:
        shape = "x".join(map(str, source.input_size))
        raise GhostifyError(f"`input_size` (={shape}) needs more memory than there is") from error


def _build_named(source: ModelSource, prefix: str, name: str, pretrained: bool | str) -> nn.Module:
    library = LIBRARIES[prefix]
    known = library.names()
    if not known:
        raise GhostifyError(f"{prefix} is not installed: pip install {prefix}")
    if name.endswith(".py"):
        raise GhostifyError(f"{name} names no factory: use {name}:FACTORY")
    if name.endswith(_WEIGHTS_ENDINGS):
        raise GhostifyError(
            f"{name} is a file of weights, not a network: name the function that builds it, such "
            f"as net.py:build, and load {name} with load_weights"
        )
    if name not in known:
        raise GhostifyError(f"unknown model {source.name!r}{near(source.name, names())}")
    try:
        model = library.build(name, pretrained, source.arguments)
    except OSError as error:
        raise GhostifyError(
            f"cannot download the weights of {source.name} ({first_line(error)}): check the "
            f"network connection, or {_LOAD_WEIGHTS}"
        ) from error
    except Exception as error:
        raise GhostifyError(f"{source.name} cannot be built: {first_line(error)}") from error
    if pretrained:
        known_as = pretrained if isinstance(pretrained, str) else library.weights(name, model)
        attach_origin(model, name=known_as)
    return model
