"""How much the feature maps of a layer resemble each other (GhostNet, Fig. 1 and Table 2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ghostify.analysis import analyze
from ghostify.analysis.arguments import check_model
from ghostify.analysis.dry_run import materialize
from ghostify.analysis.model_copy import frozen_copy
from ghostify.analysis.preserve import preserve_rng
from ghostify.conversion.init.pair_errors import covariances, pair_errors
from ghostify.io.progress import progress_bar
from ghostify.types import (
    Example,
    GhostifyError,
    GhostSpec,
    LayerRedundancy,
    MapPair,
    split_example,
)
from ghostify.types.errors import near
from ghostify.types.progress import ShowProgress
from ghostify.types.redundancy import NEARLY_ALL

_POSITIONS = 112 * 112
_AT_ONCE = 2048
_FOR_EACH_UNKNOWN = 50
"""Positions; with fewer, some map of many fits by chance."""

_MARKED = 0.1
"""Share of the mean variance that a map must have to be in a pair: nearly empty maps are alike."""


def redundancy(
    model: nn.Module,
    images: Example,
    *,
    layers: Sequence[str] | None = None,
    dw_sizes: Sequence[int] = (1, 3, 5, 7),
    pairs: int = 3,
    progress: ShowProgress = True,
) -> tuple[LayerRedundancy, ...]:
    """How well each map of a layer follows from one other map by a linear d x d kernel.

    For every pair of maps i and j and every d, the least squares problem min over k and b of
    mean((y_j - k * y_i - b)^2) is solved over the positions of all images, k being a d x d kernel
    over the zero-padded map, as in the cheap operation of a Ghost module (arXiv 1911.11907, Table
    2). The error is given as a share of var(y_j). Of more than 12,544 positions as many are drawn.
    Where there are fewer than 50 for each of the d^2 + 1 unknowns, some map of many would fit by
    chance, and that d is left out: give more images then.

    Args:
        model: left as it is; run in evaluation mode.
        images: a batch as the model takes it, ``(N, C, H, W)`` or any other example.
        layers: qualified names of modules whose output is ``(N, n, H, W)``. By default all
            convolutions that a Ghost module can stand for, without those on 1x1 maps.
        dw_sizes: d, odd.
        pairs: how many of the most similar ones to tell, by the error at d = 3 if it is measured,
            or else the last d. Of both maps the variance must be a tenth of the mean or more.
        progress: whether to show a bar, or a function that is called with each `Progress`.

    Returns:
        one entry a layer, in the order of execution.

    Raises:
        GhostifyError: if the model does not run on the images, or a layer is unknown, does not run
            or makes no maps, or a d is even.
    """
    check_model(model)
    dw_sizes = [GhostSpec(dw_size=size).dw_size for size in dw_sizes]
    model = materialize(model, images)
    names = _convolutions(model, images) if layers is None else list(layers)
    found: list[LayerRedundancy] = []

    with progress_bar("measuring", progress) as report:

        def measure(name: str, maps: Tensor) -> None:
            found.append(_redundancy(name, maps, dw_sizes, pairs))
            report(len(found), len(names), name)

        _watch(model, images, names, measure)
    return tuple(found)


def feature_maps(model: nn.Module, images: Example, layer: str) -> Tensor:
    """What one layer makes of the images, ``(N, n, H, W)``.

    Raises:
        GhostifyError: as `redundancy` does.
    """
    check_model(model)
    found: list[Tensor] = []
    _watch(materialize(model, images), images, [layer], lambda _, maps: found.append(maps.clone()))
    return found[0]


def _convolutions(model: nn.Module, images: Example) -> list[str]:
    return [
        site.name
        for site in analyze(model, images)
        if site.ineligible is None and site.output is not None and max(site.output) > 1
    ]


@torch.no_grad()
def _watch(
    model: nn.Module, images: Example, names: Sequence[str], see: Callable[[str, Tensor], None]
) -> None:
    """One forward pass, in which ``see`` gets the maps of each named layer's first call."""
    twin = frozen_copy(model)
    modules = dict(twin.named_modules())
    unseen = set(names)

    def hook(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def look(module: nn.Module, inputs: Any, output: Any) -> None:
            if name not in unseen:
                return
            unseen.remove(name)
            if not isinstance(output, Tensor) or output.dim() != 4:
                raise GhostifyError(f"{name} makes no feature maps (N, n, H, W)")
            see(name, output)

        return look

    for name in names:
        if name not in modules:
            raise GhostifyError(f"the model has no layer {name!r}{near(name, modules)}")
        modules[name].register_forward_hook(hook(name))
    args, kwargs = split_example(images)
    with preserve_rng():
        twin(*args, **kwargs)
    if unseen:
        raise GhostifyError(f"{min(unseen)} does not run on these images")


def _redundancy(name: str, maps: Tensor, dw_sizes: Sequence[int], number: int) -> LayerRedundancy:
    positions = _draw(maps)
    values = _at(maps, positions).double()
    deviation = values.std(0, correction=0)
    varying = (deviation > 1e-6 * values.abs().amax(0)).nonzero()[:, 0]
    scale = deviation[varying].to(maps)
    unit = maps[:, varying] / scale[:, None, None]
    errors = {
        size: _errors(unit, positions, size)
        for size in dw_sizes
        if len(varying) > 1 and positions.shape[1] >= _FOR_EACH_UNKNOWN * (size**2 + 1)
    }
    best = {size: error.min(0).values for size, error in errors.items()}
    marked = scale.square() >= _MARKED * scale.square().mean()
    return LayerRedundancy(
        layer=name,
        maps=maps.shape[1],
        constant=maps.shape[1] - len(varying),
        size=(maps.shape[2], maps.shape[3]),
        positions=positions.shape[1],
        explained={size: float(1 - error.mean()) for size, error in best.items()},
        ghosts={size: int((error < 1 - NEARLY_ALL).sum()) for size, error in best.items()},
        pairs=tuple(_pairs(errors, marked, varying.tolist(), number)),
    )


def _draw(maps: Tensor) -> Tensor:
    """Image, row and column ``(3, N)`` of positions: all of them, or as many as are wanted."""
    number, _, height, width = maps.shape
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randperm(number * height * width, generator=generator)[:_POSITIONS]
    return torch.stack([drawn // (height * width), drawn // width % height, drawn % width])


def _at(maps: Tensor, positions: Tensor) -> Tensor:
    """``(N, n)``, or more where a position of ``maps`` is more than a number."""
    image, row, column = positions.to(maps.device)
    return maps[image, :, row, column]


def _errors(maps: Tensor, positions: Tensor, dw_size: int) -> Tensor:
    """``(n, n)``: error of map j made of map i, infinite for a map of itself.

    Args:
        maps: of unit variance at the positions.
    """
    padded = F.pad(maps, [dw_size // 2] * 4)
    windows = padded.unfold(2, dw_size, 1).unfold(3, dw_size, 1)
    targets = _at(maps, positions)
    targets = targets - targets.mean(0, dtype=torch.float64).to(targets)

    def chunks(chosen: slice) -> Iterator[tuple[Tensor, Tensor]]:
        parts = torch.split(positions, _AT_ONCE, 1), torch.split(targets, _AT_ONCE)
        for some, wanted in zip(*parts, strict=True):
            yield _at(windows[:, chosen], some), wanted

    errors = pair_errors(
        lambda chosen: covariances(chunks(chosen))[:2], targets.new_ones(len(maps[0])), dw_size
    )
    return errors.fill_diagonal_(float("inf"))


def _pairs(
    errors: dict[int, Tensor], marked: Tensor, numbers: Sequence[int], wanted: int
) -> Iterator[MapPair]:
    """Greedily the most similar maps that are in no pair yet."""
    if not errors:
        return
    size = GhostSpec().dw_size
    left = errors[size if size in errors else max(errors)].clone()
    left[~marked] = left[:, ~marked] = float("inf")
    for _ in range(wanted):
        if not left.isfinite().any():
            return
        source, target = divmod(int(left.argmin()), len(left))
        yield MapPair(
            numbers[source],
            numbers[target],
            {size: float(error[source, target]) for size, error in errors.items()},
        )
        for map in (source, target):
            left[map] = left[:, map] = float("inf")
