"""Feature maps of Ghost modules for one image, as small pictures."""

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
from ghostify.types import GhostifyError, Output, Outputs, Plan

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
        JSON types: the image, pairs of intrinsic map and ghost for each layer, and the most likely
        classes if the network is known to have some. Pictures are PNG in base64. A ghost and the
        original's feature map share their grey scale.

    Raises:
        GhostifyError: if the feature maps of all Ghost modules are smaller than 5 x 5.
    """
    names = list(Plan.of(converted).replaced)
    maps, output = _run(converted, image, names)
    large = [name for name in names if name in maps and min(maps[name][1].shape[-2:]) >= _MIN_SIDE]
    if not large:
        raise GhostifyError(
            f"no Ghost module has feature maps of {_MIN_SIDE}x{_MIN_SIDE} or more: use a larger "
            "image"
        )
    steps = (round(i * (len(large) - 1) / (_MAX_LAYERS - 1)) for i in range(_MAX_LAYERS))
    chosen = [large[step] for step in dict.fromkeys(steps)]
    known, known_output = ({}, None) if original is None else _run(original, image, chosen)
    meaning = (Outputs.find(converted) or Outputs())[0]
    sites = []
    for name in chosen:
        _, same = known.get(name, (None, None))
        pairs = _pairs(converted.get_submodule(name), *maps[name], same)
        sites.append({"name": name, "size": list(maps[name][1].shape[-2:]), "maps": pairs})
    return {
        "image": _png(image[0, :3] if image.shape[1] >= 3 else image[0, :1]),
        "sites": sites,
        "classes": _top_classes(output, meaning),
        "original_classes": _top_classes(known_output, meaning),
    }


def _run(
    model: nn.Module, image: Tensor, names: Sequence[str]
) -> tuple[dict[str, tuple[Tensor, Tensor]], Any]:
    """Return intrinsic maps and all maps of each layer's first call, and the output."""
    copied = frozen_copy(model)
    intrinsic = {}
    for name in names:
        is_ghost = isinstance(copied.get_submodule(name), GhostModule)
        intrinsic[name] = f"{name}.primary_conv" if is_ghost else name
    found: dict[str, Tensor] = {}

    def keep_first(name: str, _: nn.Module, __: Any, output: Tensor) -> None:
        if name not in found:
            found[name] = output.clone()  # later layers may work in place

    with output_hooks(copied, [*intrinsic, *intrinsic.values()], keep_first):
        output = copied(image)
    return {n: (found[i], found[n]) for n, i in intrinsic.items() if n in found}, output


def _pairs(
    module: nn.Module, intrinsic: Tensor, maps: Tensor, known: Tensor | None
) -> list[dict[str, Any]]:
    """Return the ghosts with the largest variance, one for each intrinsic map."""
    assert isinstance(module, GhostModule)
    number = intrinsic.shape[1]
    order = list(range(maps.shape[1])) if module.order is None else module.order.tolist()
    spread = maps[0].flatten(1).std(1).tolist()
    distinct: dict[int, int] = {}
    for channel in sorted(range(len(order)), key=lambda channel: -spread[channel]):
        if order[channel] >= number:
            distinct.setdefault((order[channel] - number) % number, channel)
    pairs = []
    for source, channel in list(distinct.items())[:_MAX_MAPS]:
        ghost = maps[0, channel]
        same = ghost if known is None else known[0, channel]
        both = torch.stack([ghost, same])
        span = float(both.min()), float(both.max())
        pairs.append(
            {
                "channel": channel,
                "source": order.index(source),
                "intrinsic": _png(intrinsic[0, source][None]),
                "ghost": _png(ghost[None], span),
                "original": None if known is None else _png(same[None], span),
            }
        )
    return pairs


def _png(picture: Tensor, span: tuple[float, float] | None = None) -> str:
    """Encode ``(1 or 3, H, W)`` as PNG in base64."""
    picture = picture.float()
    low, high = span or (float(picture.min()), float(picture.max()))
    levels = ((picture - low) / max(high - low, 1e-12) * 255).round().clamp(0, 255)
    pixels = levels.byte().permute(1, 2, 0).numpy()
    colour = picture.shape[0] == 3
    image = Image.fromarray(pixels if colour else pixels[..., 0])
    side = 3 * _MAX_SIDE if colour else _MAX_SIDE
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
