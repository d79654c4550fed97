"""Feature maps of Ghost modules and pruned layers for one image, as small pictures."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from ghostify.analysis.model_copy import frozen_copy
from ghostify.analysis.output_hooks import output_hooks
from ghostify.evaluation.divergence import logits_of
from ghostify.evaluation.metrics import numbers
from ghostify.nn import GhostModule
from ghostify.types import GhostifyError, GhostSpec, Output, Outputs, Plan

_MAX_LAYERS = 4
_MAX_MAPS = 6
_MAX_SIDE = 48
_MIN_SIDE = 5
_TOP_K = 5


@torch.no_grad()
def feature_map_images(
    converted: nn.Module, image: Tensor, original: nn.Module | None = None
) -> dict[str, Any]:
    """Run one image through a network, and return feature maps of a few layers as pictures.

    Args:
        converted: the model that `convert` returned.
        image: input, ``(1, C, H, W)``.
        original: the original with its weights, to return the same feature maps of.

    Returns:
        JSON types: the image, some feature maps of each layer, and the most likely classes if the
        network is known to have some. A Ghost module has pairs of intrinsic map and ghost, a pruned
        convolution maps that are left. Pictures are PNG in base64. A map and the original's share
        their gray scale. Channels are those of the original.

    Raises:
        GhostifyError: if the feature maps of all changed layers are smaller than 5 x 5.
    """
    plan = Plan.of(converted)
    names = list(plan.replaced or plan.widths)
    maps, output = _run(converted, image, names)
    large = [name for name in names if name in maps and min(maps[name].shape[-2:]) >= _MIN_SIDE]
    if not large:
        raise GhostifyError(
            f"no changed layer has feature maps of {_MIN_SIDE}x{_MIN_SIDE} or more: use a larger "
            "image"
        )
    steps = (round(i * (len(large) - 1) / (_MAX_LAYERS - 1)) for i in range(_MAX_LAYERS))
    chosen = [large[step] for step in dict.fromkeys(steps)]
    known, known_output = ({}, None) if original is None else _run(original, image, chosen)
    meaning = (Outputs.find(converted) or Outputs())[0]
    sites = []
    for name in chosen:
        left = plan.kept_channels.get(name, range(maps[name].shape[1]))
        same = known[name][:, list(left)] if name in known else None
        sources = _sources(converted.get_submodule(name), maps[name])
        shown = [_pictures(maps[name], same, left, *pair) for pair in sources]
        sites.append({"name": name, "size": list(maps[name].shape[-2:]), "maps": shown})
    return {
        "image": _png(image[0, :3] if image.shape[1] >= 3 else image[0, :1]),
        "sites": sites,
        "classes": _top_classes(output, meaning),
        "original_classes": _top_classes(known_output, meaning),
    }


def _run(model: nn.Module, image: Tensor, names: Sequence[str]) -> tuple[dict[str, Tensor], Any]:
    """Return the feature maps of each layer's first call, and the output."""
    copied = frozen_copy(model)
    found: dict[str, Tensor] = {}

    def keep_first(name: str, _: nn.Module, __: Any, output: Tensor) -> None:
        if name not in found:
            found[name] = output.clone()  # later layers may work in place

    with output_hooks(copied, names, keep_first):
        output = copied(image)
    return found, output


def _sources(module: nn.Module, maps: Tensor) -> list[tuple[int, int | None]]:
    """Return the feature maps with the largest variance, and the intrinsic map of each ghost.

    A Ghost module has one ghost for each intrinsic map.
    """
    spread = maps[0].flatten(1).std(1).tolist()
    channels = sorted(range(len(spread)), key=lambda channel: -spread[channel])
    if not isinstance(module, GhostModule):
        return [(channel, None) for channel in channels[:_MAX_MAPS]]
    intrinsic = GhostSpec(module.ratio, module.dw_size).intrinsic(module.out_channels)
    order = list(range(len(spread))) if module.order is None else module.order.tolist()
    distinct: dict[int, int] = {}
    for channel in channels:
        if order[channel] >= intrinsic:
            distinct.setdefault((order[channel] - intrinsic) % intrinsic, channel)
    return [(channel, order.index(source)) for source, channel in [*distinct.items()][:_MAX_MAPS]]


def _pictures(
    maps: Tensor, known: Tensor | None, left: Sequence[int], channel: int, source: int | None
) -> dict[str, Any]:
    """Return the pictures of a feature map, of its source, and of the original's."""
    made = maps[0, channel]
    same = made if known is None else known[0, channel]
    both = torch.stack([made, same])
    span = float(both.min()), float(both.max())
    pictures: dict[str, Any] = {"channel": left[channel]}
    if source is None:
        pictures["converted"] = _png(made[None], span)
    else:
        pictures["source"] = left[source]
        pictures["intrinsic"] = _png(maps[0, source][None])
        pictures["ghost"] = _png(made[None], span)
    return pictures | {"original": None if known is None else _png(same[None], span)}


def _png(picture: Tensor, span: tuple[float, float] | None = None) -> str:
    """Encode ``(1 or 3, H, W)`` as PNG in base64."""
    picture = picture.float()
    low, high = span or (float(picture.min()), float(picture.max()))
    levels = ((picture - low) / max(high - low, 1e-12) * 255).round().clamp(0, 255)
    pixels = levels.byte().permute(1, 2, 0).numpy()
    color = picture.shape[0] == 3
    image = Image.fromarray(pixels if color else pixels[..., 0])
    side = 3 * _MAX_SIDE if color else _MAX_SIDE
    if max(image.size) > side:
        image.thumbnail((side, side), Image.Resampling.BOX)
    stream = io.BytesIO()
    image.save(stream, "PNG", optimize=True)
    return base64.b64encode(stream.getvalue()).decode()


def _top_classes(output: Any, meaning: Output) -> list[list[float]] | None:
    """Return the most likely classes and their probabilities."""
    scores = numbers(output)
    if meaning.kind != "classes" or meaning.dense or not scores:
        return None
    logits = logits_of(scores[0][:1].double(), meaning)[0]
    top = logits.softmax(0).topk(min(_TOP_K, len(logits)))
    return [[int(c), float(p)] for c, p in zip(top.indices, top.values, strict=True)]
