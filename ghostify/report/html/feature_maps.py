"""What layers make of one image: intrinsic maps, the ghosts of them, and the original's maps."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from ghostify.analysis.model_copy import frozen_copy
from ghostify.evaluation.metrics import is_logits
from ghostify.nn import GhostModule
from ghostify.types import GhostifyError, Plan

_SITES = 4
_MAPS = 6
_SIDE = 48
_LEAST = 5
_TOP = 5


@torch.no_grad()
def look(converted: nn.Module, image: Tensor, original: nn.Module | None = None) -> dict[str, Any]:
    """Run one image through a network, and keep some maps of some layers as small pictures.

    Args:
        converted: what `convert` made.
        image: ``(1, C, H, W)``, as the network takes it.
        original: with its weights, to show the same maps of; or None.

    Returns:
        JSON types: the image, for each of a few sites pairs of maps, and the most likely classes
        where the output is ``(1, classes)``. Pictures are PNG in base64. A ghost and the
        original's map share their range of grey.

    Raises:
        GhostifyError: if no Ghost module makes maps that are large enough to be seen.
    """
    names = list(Plan.of(converted).replaced)
    made, output = _run(converted, image, names)
    seen = [name for name in names if name in made and min(made[name][1].shape[-2:]) >= _LEAST]
    if not seen:
        raise GhostifyError("there is nothing to see: all maps of Ghost modules are tiny")
    chosen = [seen[round(i * (len(seen) - 1) / (_SITES - 1))] for i in range(_SITES)]
    chosen = list(dict.fromkeys(chosen))
    known, known_output = ({}, None) if original is None else _run(original, image, chosen)
    return {
        "image": _png(image[0, :3] if image.shape[1] >= 3 else image[0, :1]),
        "sites": [
            {
                "name": name,
                "size": list(made[name][1].shape[-2:]),
                "maps": _pairs(
                    converted.get_submodule(name), *made[name], known.get(name, (None, None))[1]
                ),
            }
            for name in chosen
        ],
        "classes": _likely(output),
        "original_classes": None if known_output is None else _likely(known_output),
    }


Maps = dict[str, tuple[Tensor, Tensor]]


def _run(model: nn.Module, image: Tensor, names: Iterable[str]) -> tuple[Maps, Any]:
    """Intrinsic maps and all maps of some layers, on their first call; and the output."""
    twin = frozen_copy(model).eval()
    intrinsic: dict[str, Tensor] = {}
    whole: dict[str, Tensor] = {}
    with ExitStack() as hooks:
        for name in names:
            module = twin.get_submodule(name)
            primary = module.primary_conv if isinstance(module, GhostModule) else module
            for part, kept in ((primary, intrinsic), (module, whole)):
                assert isinstance(part, nn.Module)
                handle = part.register_forward_hook(_keeper(kept, name))
                hooks.callback(handle.remove)
        output = twin(image)
    return {name: (intrinsic[name], whole[name]) for name in whole}, output


def _keeper(kept: dict[str, Tensor], name: str) -> Callable[..., None]:
    """A hook that keeps the maps of a layer's first call."""

    def keep(_: nn.Module, __: Any, maps: Tensor) -> None:
        kept.setdefault(name, maps.clone())  # what comes behind may write over them

    return keep


def _pairs(
    module: nn.Module, intrinsic: Tensor, maps: Tensor, known: Tensor | None
) -> list[dict[str, Any]]:
    """The liveliest ghosts beside the intrinsic maps that they are made of."""
    assert isinstance(module, GhostModule)
    number = intrinsic.shape[1]
    order = range(maps.shape[1]) if module.order is None else module.order.tolist()
    places = {place: channel for channel, place in enumerate(order)}
    sources = {places[place]: (place - number) % number for place in places if place >= number}
    spread = maps[0].flatten(1).std(1)
    lively = sorted(sources, key=lambda channel: -float(spread[channel]))
    apart = list({sources[channel]: channel for channel in reversed(lively)}.values())[::-1][:_MAPS]
    pairs = []
    for channel in apart:
        ghost = maps[0, channel]
        same = None if known is None else known[0, channel]
        both = ghost if same is None else torch.stack([ghost, same])
        span = float(both.min()), float(both.max())
        pairs.append(
            {
                "channel": channel,
                "source": places[sources[channel]],
                "intrinsic": _png(intrinsic[0, sources[channel]][None]),
                "ghost": _png(ghost[None], span),
                "original": None if same is None else _png(same[None], span),
            }
        )
    return pairs


def _png(picture: Tensor, span: tuple[float, float] | None = None) -> str:
    """``(1 or 3, H, W)`` as a PNG in base64; colours by channel."""
    picture = picture.float()
    low, high = span or (float(picture.min()), float(picture.max()))
    levels = ((picture - low) / max(high - low, 1e-12) * 255).round().clamp(0, 255)
    pixels = levels.byte().permute(1, 2, 0).numpy()
    image = Image.fromarray(pixels if picture.shape[0] == 3 else pixels[..., 0])
    side = 3 * _SIDE if picture.shape[0] == 3 else _SIDE
    if max(image.size) > side:
        image.thumbnail((side, side), Image.Resampling.BOX)
    stream = io.BytesIO()
    image.save(stream, "PNG", optimize=True)
    return base64.b64encode(stream.getvalue()).decode()


def _likely(output: Any) -> list[list[float]] | None:
    """Class and probability of the most likely ones."""
    if not isinstance(output, Tensor) or not is_logits(output):
        return None
    top = output[0].double().softmax(0).topk(min(_TOP, output.shape[1]))
    return [[int(c), float(p)] for c, p in zip(top.indices, top.values, strict=True)]
