"""What the original gives at positions drawn at random, layer by layer, from one pass."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ghostify.calibration import images_in
from ghostify.initializers.sampling import draw_positions
from ghostify.initializers.scratch import scratch
from ghostify.spec import Example, split_example


@dataclass
class Targets:
    """The outputs of one layer.

    Attributes:
        calls: how often a pass calls it, at most.
        samples: by batch and call, the size of the map, and ``(N, n)`` values at the positions
            that `draw_positions` gives for `key`.
    """

    calls: int = 0
    samples: dict[tuple[int, int], tuple[tuple[int, int], Tensor]] = field(default_factory=dict)


def key(layer: str, batch: int, call: int) -> str:
    """What the positions of one call are drawn by."""
    return f"{layer}/{batch}/{call}"


@torch.no_grad()
def observe(
    model: nn.Module, batches: Sequence[Example], positions: Mapping[str, int]
) -> dict[str, Targets]:
    """Run ``model`` once on everything.

    Args:
        positions: how many are wanted of each layer, over all images. A call on a smaller map than
            the first gives fewer, by its area.

    Returns:
        those layers that ran, in the order of their first call.
    """
    found: dict[str, Targets] = {}
    images = [images_in(batch) for batch in batches]
    for number, batch in enumerate(batches):
        share = images[number] / sum(images)
        with ExitStack() as hooks:
            for name, wanted in positions.items():
                hook = _hook(found, name, number, wanted * share)
                handle = model.get_submodule(name).register_forward_hook(hook)
                hooks.callback(handle.remove)
            args, kwargs = split_example(batch)
            model(*args, **kwargs)
    return found


def _hook(found: dict[str, Targets], name: str, number: int, wanted: float) -> Any:
    calls = 0
    area = 0.0

    def keep(module: nn.Module, _: Any, output: Tensor) -> None:
        nonlocal calls, area
        maps = as_maps(module, output)
        size = (maps.shape[2], maps.shape[3])
        area = area or float(maps[:, 0].numel())
        share = min(maps[:, 0].numel() / max(area, 1), 1.0)
        drawn = draw_positions(
            key(name, number, calls), len(maps), size, math.ceil(wanted * share)
        ).to(maps.device)
        values = maps[drawn[:, 0], :, drawn[:, 1], drawn[:, 2]]
        kept = scratch(tuple(values.shape))
        kept.copy_(values)
        targets = found.setdefault(name, Targets())
        targets.samples[number, calls] = size, kept
        calls += 1
        targets.calls = max(targets.calls, calls)

    return keep


def as_maps(module: nn.Module, output: Tensor) -> Tensor:
    """``(B, n, H, W)``, whatever the layer's output looks like."""
    if isinstance(module, nn.Linear):
        return output.reshape(-1, output.shape[-1])[:, :, None, None]
    return output if output.dim() == 4 else output[None]
