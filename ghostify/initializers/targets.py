"""What the original gives at positions drawn at random, layer by layer, from one pass."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from ghostify.calibration import images_in
from ghostify.initializers.sampling import draw_positions
from ghostify.initializers.scratch import give_back_free_memory, scratch
from ghostify.initializers.sums import Branches, Term, worth
from ghostify.spec import Example, split_example


@dataclass
class Targets:
    """The outputs of one layer.

    Attributes:
        calls: how often a pass calls it, at most.
        samples: by batch and call, the size of the map, and ``(N, n)`` values at the positions
            that `draw_positions` gives for `key`.
        others: for the last term of a sum, the other term at the same positions, likewise.
        worth: ``(n,)``, what a unit of the sum is in the layer's maps.
    """

    calls: int = 0
    samples: dict[tuple[int, int], tuple[tuple[int, int], Tensor]] = field(default_factory=dict)
    others: dict[tuple[int, int], Tensor] = field(default_factory=dict)
    worth: Tensor | None = None


def key(layer: str, batch: int, call: int) -> str:
    """What the positions of one call are drawn by."""
    return f"{layer}/{batch}/{call}"


@torch.no_grad()
def observe(
    model: nn.Module,
    batches: Sequence[Example],
    positions: Mapping[str, int],
    terms: Mapping[str, str | None] = MappingProxyType({}),
) -> dict[str, Targets]:
    """Run ``model`` once on everything.

    Args:
        positions: how many are wanted of each layer, over all images. A call on a smaller map than
            the first gives fewer, by its area.
        terms: those layers that are the last term of a sum, with the batch norm between, if any.

    Returns:
        those layers that ran, in the order of their first call.
    """
    found: dict[str, Targets] = {}
    images = [images_in(batch) for batch in batches]

    def keep_other(term: Term[_Call], other: Tensor) -> None:
        targets = found[term.key.layer]
        targets.others[term.key.batch, term.key.number] = _kept(values_at(other, term.key.drawn))

    for number, batch in enumerate(batches):
        share = images[number] / sum(images)
        with ExitStack() as hooks:
            branches = hooks.enter_context(Branches(keep_other))
            for name, wanted in positions.items():
                hook = _Hook(
                    found, name, number, wanted * share, branches if name in terms else None
                )
                handle = model.get_submodule(name).register_forward_hook(hook)
                hooks.callback(handle.remove)
            args, kwargs = split_example(batch)
            model(*args, **kwargs)
        give_back_free_memory()
    for name, norm in terms.items():
        if name in found and found[name].others:
            behind = None if norm is None else model.get_submodule(norm)
            alive = _alive(found[name])
            found[name].worth = alive * worth(behind, len(alive)).to(alive.device)
    return found


@dataclass
class _Call:
    """One call of one layer, with the positions ``(N, 3)`` that are looked at."""

    layer: str
    batch: int
    number: int
    drawn: Tensor


@dataclass
class _Hook:
    """Keeps what one layer gives for one batch."""

    found: dict[str, Targets]
    layer: str
    batch: int
    wanted: float
    branches: Branches[_Call] | None
    calls: int = 0
    area: float = 0.0

    def __call__(self, module: nn.Module, _: Any, output: Tensor) -> None:
        maps = as_maps(module, output)
        size = (maps.shape[2], maps.shape[3])
        self.area = self.area or float(maps[:, 0].numel())
        share = min(maps[:, 0].numel() / max(self.area, 1), 1.0)
        drawn = draw_positions(
            key(self.layer, self.batch, self.calls),
            len(maps),
            size,
            math.ceil(self.wanted * share),
        )
        targets = self.found.setdefault(self.layer, Targets())
        targets.samples[self.batch, self.calls] = size, _kept(values_at(maps, drawn))
        if self.branches is not None:
            self.branches.follow(_Call(self.layer, self.batch, self.calls, drawn), output)
        self.calls += 1
        targets.calls = max(targets.calls, self.calls)


def _alive(targets: Targets) -> Tensor:
    """``(n,)``: which maps are not the same everywhere; those that are stay so."""
    samples = [values for _, values in targets.samples.values()]
    return torch.stack([(values != samples[0][:1]).any(0) for values in samples]).any(0)


def values_at(maps: Tensor, drawn: Tensor) -> Tensor:
    """``(N, n)``: the maps at positions ``(N, 3)``."""
    drawn = drawn.to(maps.device)
    return maps[drawn[:, 0], :, drawn[:, 1], drawn[:, 2]]


def _kept(values: Tensor) -> Tensor:
    kept = scratch(tuple(values.shape))
    kept.copy_(values)
    return kept


def as_maps(module: nn.Module, output: Tensor) -> Tensor:
    """``(B, n, H, W)``, whatever the layer's output looks like."""
    if isinstance(module, nn.Linear):
        return output.reshape(-1, output.shape[-1])[:, :, None, None]
    return output if output.dim() == 4 else output[None]
