"""Similarity of the feature maps of a layer (GhostNet, Fig. 1 and Table 2)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ghostify.analysis import analyze
from ghostify.analysis.arguments import check_model
from ghostify.analysis.dry_run import materialize
from ghostify.analysis.model_copy import frozen_copy
from ghostify.analysis.output_hooks import output_hooks
from ghostify.analysis.preserve import preserve_rng
from ghostify.conversion.init.pair_errors import covariances, pair_errors
from ghostify.conversion.init.sample import values_around, values_at
from ghostify.data import open_calibration
from ghostify.io.progress import progress_bar
from ghostify.types import (
    Example,
    FeatureMapPair,
    GhostifyError,
    GhostSpec,
    LayerRedundancy,
    split_example,
)
from ghostify.types.model_measurements import GHOST_SHARE
from ghostify.types.progress import ShowProgress

_MAX_POSITIONS = 112 * 112
_CHUNK = 2048
_IMAGES = 16
_POSITIONS_PER_UNKNOWN = 50
_MIN_VARIANCE = 0.1
"""Variance of a feature map in a pair, relative to the mean: nearly empty ones are all alike."""


def redundancy(
    model: nn.Module,
    images: Example,
    *,
    layers: Sequence[str] | None = None,
    dw_sizes: Sequence[int] = (1, 3, 5, 7),
    pairs: int = 3,
    progress: ShowProgress = True,
) -> tuple[LayerRedundancy, ...]:
    """Measure how well feature maps are predicted from each other by a d x d convolution.

    For every pair of feature maps i and j, it solves the least-squares problem
    min over k and b of mean((y_j - k * y_i - b)^2), where k is a d x d kernel over the zero-padded
    map, as in the cheap operation of a Ghost module (arXiv 1911.11907, Table 2). Errors are
    relative to var(y_j). The mean is over all positions of all images, or over 12,544 random ones.
    A d with fewer than 50 positions for each of its d^2 + 1 unknowns is left out, since a fit could
    be good by chance: pass more images.

    Args:
        model: stays unchanged; runs in evaluation mode.
        images: a batch of the model's inputs, ``(N, C, H, W)`` or any other example; or what
            `open_data` takes, of which 16 are used.
        layers: names of modules whose output is ``(N, n, H, W)``. Default: all convolutions that a
            Ghost module can replace, except on 1x1 feature maps.
        dw_sizes: d, odd.
        pairs: number of most similar pairs to list, by the error at d = 3 if measured, else at the
            largest d. Both feature maps must have a tenth of the mean variance.
        progress: True shows a bar; a function is called with each `Progress`.

    Returns:
        One entry per layer, in the order of execution.

    Raises:
        GhostifyError: if the model does not run on the images; if a layer is unknown, does not
            run or outputs no feature maps; or if a d is even.
    """
    check_model(model, lazy=True)
    if isinstance(images, str | Path):
        read = open_calibration(images, model, images=_IMAGES, evaluation=True, progress=False)
        images = torch.cat(read.batches)
    dw_sizes = [GhostSpec(dw_size=size).dw_size for size in dw_sizes]
    model = materialize(model, images)
    if layers is None:
        sites = [site for site in analyze(model, images) if site.ineligible is None]
        layers = [site.name for site in sites if site.output and max(site.output) > 1]
    names = list(layers)
    found: list[LayerRedundancy] = []
    with progress_bar("measuring", progress) as report:

        def measure(name: str, maps: Tensor) -> None:
            found.append(_layer_redundancy(name, maps, dw_sizes, pairs))
            report(len(found), len(names), name)

        _visit_feature_maps(model, images, names, measure)
    return tuple(found)


def feature_maps(model: nn.Module, images: Example, layer: str) -> Tensor:
    """Return the feature maps of a layer, ``(N, n, H, W)``.

    Raises:
        GhostifyError: as in `redundancy`.
    """
    found: list[Tensor] = []
    model = materialize(model, images)
    _visit_feature_maps(model, images, [layer], lambda _, maps: found.append(maps.clone()))
    return found[0]


@torch.no_grad()
def _visit_feature_maps(
    model: nn.Module, images: Example, names: Sequence[str], visit: Callable[[str, Tensor], None]
) -> None:
    """Run the model and call ``visit`` with the output of each layer's first call."""
    model = frozen_copy(model)
    pending = set(names)

    def first_call(name: str, module: nn.Module, inputs: Any, output: Any) -> None:
        if name not in pending:
            return
        pending.remove(name)
        if not isinstance(output, Tensor) or output.dim() != 4:
            raise GhostifyError(f"{name} outputs no feature maps (N, n, H, W)")
        visit(name, output)

    args, kwargs = split_example(images)
    with preserve_rng(), output_hooks(model, names, first_call):
        model(*args, **kwargs)
    if pending:
        raise GhostifyError(f"{min(pending)} does not run on these images")


def _layer_redundancy(
    name: str, maps: Tensor, dw_sizes: Sequence[int], number: int
) -> LayerRedundancy:
    shape = len(maps), *maps.shape[2:]
    generator = torch.Generator().manual_seed(0)
    flat = torch.randperm(math.prod(shape), generator=generator)[:_MAX_POSITIONS].sort().values
    positions = torch.stack(torch.unravel_index(flat, shape), 1)
    values = values_at(maps, positions).double()
    deviation = values.std(1, correction=0)
    varying = (deviation > 1e-6 * values.abs().amax(1)).nonzero()[:, 0]
    scale = deviation[varying].to(maps)
    unit = maps[:, varying] / scale[:, None, None]
    errors = {
        size: _errors(unit, positions, size)
        for size in dw_sizes
        if len(varying) > 1 and len(positions) >= _POSITIONS_PER_UNKNOWN * (size**2 + 1)
    }
    best = {size: error.min(0).values for size, error in errors.items()}
    varied = scale.square() >= _MIN_VARIANCE * scale.square().mean()
    return LayerRedundancy(
        layer=name,
        maps=maps.shape[1],
        constant=maps.shape[1] - len(varying),
        size=(maps.shape[2], maps.shape[3]),
        positions=len(positions),
        explained={size: float(1 - error.mean()) for size, error in best.items()},
        ghosts={size: int((error < 1 - GHOST_SHARE).sum()) for size, error in best.items()},
        pairs=tuple(_pairs(errors, varied, varying.tolist(), number)),
    )


def _errors(maps: Tensor, positions: Tensor, dw_size: int) -> Tensor:
    """``(n, n)``: error of map j as a ghost of map i of unit variance; the diagonal is infinite."""
    targets = values_at(maps, positions)
    targets = targets - targets.mean(1, keepdim=True, dtype=torch.float64).to(targets)

    def chunks(chosen: slice) -> Iterator[tuple[Tensor, Tensor]]:
        parts = torch.split(positions, _CHUNK), torch.split(targets, _CHUNK, 1)
        for some, wanted in zip(*parts, strict=True):
            yield values_around(maps[:, chosen], some, dw_size), wanted

    errors = pair_errors(
        lambda chosen: covariances(chunks(chosen))[:2], targets.new_ones(len(maps[0])), dw_size
    )
    return errors.fill_diagonal_(float("inf"))


def _pairs(
    errors: dict[int, Tensor], allowed: Tensor, indices: Sequence[int], number: int
) -> Iterator[FeatureMapPair]:
    """Greedily the most similar feature maps, each in one pair at most."""
    if not errors:
        return
    size = GhostSpec().dw_size
    left = errors[size if size in errors else max(errors)].clone()
    left[~allowed] = left[:, ~allowed] = float("inf")
    for _ in range(number):
        if not left.isfinite().any():
            return
        source, target = divmod(int(left.argmin()), len(left))
        yield FeatureMapPair(
            indices[source],
            indices[target],
            {size: float(error[source, target]) for size, error in errors.items()},
        )
        for index in (source, target):
            left[index] = left[:, index] = float("inf")
