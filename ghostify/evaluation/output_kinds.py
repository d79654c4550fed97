"""What the outputs of a network mean, found from evidence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from ghostify.analysis.dry_run import dry_run
from ghostify.analysis.model_copy import frozen_copy
from ghostify.analysis.output_hooks import output_hooks
from ghostify.analysis.preserve import eval_mode, preserve_rng
from ghostify.data import Data, calibration_batches, images_in, split_labels
from ghostify.data.batches import call, device_of
from ghostify.evaluation.labels import kind_by_labels, rows, sums_to_one
from ghostify.evaluation.metrics import numbers
from ghostify.types import Example, GhostifyError
from ghostify.types.outputs import Output, Outputs, OutputsLike, check_kind

Pair: TypeAlias = tuple[Example, Tensor | None]
"""Inputs and labels of a batch."""

_IMAGES = 64
"""Images to judge by."""

_FEWEST = 8
"""Images below which sums say nothing."""

_ROWS, _SPREAD, _LEVEL = 0.05, 0.1, 5.0
"""Upper limits for classes: see `_sums`. Small classifiers have a spread up to 0.09 and a level up
to 3, networks of values a spread from 0.1 or a level from 8. Of ImageNet's 1000 rows, 0.03 is left,
and images of other kinds raise the level."""

_DECIDED = 0.5
"""Mean of 4 p (1 - p) below which probabilities are those of labels."""


class Seen(NamedTuple):
    """Some outputs of a network, and their labels, if there are any for all of them."""

    tensors: list[Tensor]
    labels: Tensor | None
    layers: list[Tensor]
    """Weights of the convolutions and linear layers, in order of their execution."""


def find_outputs(
    model: nn.Module,
    batches: Iterable[Pair],
    outputs: OutputsLike = None,
    known: Outputs | None = None,
) -> Outputs:
    """Return what the outputs of a network mean.

    The user's word decides. Then labels do, then what an earlier step found, then whether softmax
    or sigmoid was applied, then whether the sums over classes are as training by cross-entropy
    leaves them: as they were initialized. Without evidence outputs are values, whose squared error
    constrains everything.

    Args:
        model: the original, or what has its outputs.
        batches: pairs of inputs and labels, or None; the first 64 images are used.
        outputs: a kind for all outputs that can be of this kind, or a result to return.
        known: what an earlier step found.

    Raises:
        GhostifyError: if there is no such kind, or no output can be of it.
    """
    if isinstance(outputs, Outputs):
        return outputs
    if outputs is not None:
        check_kind(outputs)
    elif known is not None and known.given:
        return known
    seen = _observe(model, batches)
    if seen is None:
        found = [Output("values", "not every image has a row of them", size=0)]
    else:
        found = [_find(seen, number, outputs, known) for number in range(len(seen.tensors))]
    if outputs is not None and not any(each.kind == outputs for each in found):
        raise GhostifyError(
            f"`outputs` (={outputs!r}) does not fit: no output has a row for each image with an "
            "entry for each class"
        )
    return Outputs(tuple(found), given=outputs is not None)


def calibrate_on(
    model: nn.Module,
    calibration: Any,
    example: Example,
    outputs: OutputsLike,
    *,
    evaluation: bool = False,
) -> tuple[list[Example], Outputs]:
    """Return the batches of calibration data, on the network's device, and what outputs mean.

    Labels in the data are evidence, too. The network runs on the first batch.

    Args:
        calibration, example, evaluation: as in `calibration_batches`.
        outputs: as in `find_outputs`.
    """
    labels = _first_labels(calibration)  # before all is read, so that an iterator is not touched
    device = device_of(model)
    opened = calibration_batches(calibration, model, example, evaluation=evaluation)
    batches = tree_map_only(Tensor, lambda tensor: tensor.to(device), opened)
    dry_run(model, batches[0])  # images may differ in size from the example
    pairs: list[Pair] = [(batch, None) for batch in batches]
    if labels is not None and len(labels) == images_in(batches[0]):
        pairs = [(batches[0], labels)]
    return batches, find_outputs(frozen_copy(model), pairs, outputs, known_outputs(model))


def _first_labels(calibration: Any) -> Tensor | None:
    """Return the labels of the first batch, of data that can be iterated repeatedly."""
    data = calibration.calibration() if isinstance(calibration, Data) else calibration
    if isinstance(data, Tensor | Iterator | str) or not isinstance(data, Iterable):
        return None
    with preserve_rng():
        first = next(iter(data), None)
    return split_labels(first)[1]


def known_outputs(*models: nn.Module | None) -> Outputs | None:
    """Return what an earlier step found of the outputs of one of these networks."""
    return next(filter(None, map(Outputs.find, models)), None)


def first_pairs(pairs: Iterable[Pair], images: int = _IMAGES) -> Iterator[Pair]:
    """Yield the pairs of inputs and labels with the first images."""
    for inputs, labels in pairs:
        yield inputs, labels
        images -= images_in(inputs)
        if images <= 0:
            return


def _find(seen: Seen, number: int, outputs: str | None, known: Outputs | None) -> Output:
    tensor = seen.tensors[number]
    size = tensor.shape[1] if tensor.dim() > 1 else 1
    labels = seen.labels if number == 0 else None
    if outputs is not None:
        possible = outputs == "values" or size > 1 or outputs == "multilabel"
        kind, reason = (outputs if possible else "values"), "as given"
    elif labels is not None and (by_labels := kind_by_labels(labels, tensor)):
        kind, reason = by_labels
    elif known is not None and known[number].size == size:
        return known[number]
    else:
        kind, reason = _by_values(seen, tensor, size)
    probabilities = _are_probabilities(tensor, kind)
    return Output(kind, reason, size, tensor.dim() > 2, probabilities)  # type: ignore[arg-type]


def _by_values(seen: Seen, tensor: Tensor, size: int) -> tuple[str, str]:
    images = len(tensor)
    if size > 1 and images and sums_to_one(tensor):
        return "classes", "they are probabilities that sum to 1"
    if size > 1 and images and sums_to_one(tensor.exp()):
        return "classes", "they are logarithms of probabilities"
    if _are_decided(tensor):
        return "multilabel", "they are probabilities of labels, near 0 or 1"
    if size == 1:
        return "values", "there is one for each image"
    layer = next((w for w in reversed(seen.layers) if len(w) == size), None)
    if images < _FEWEST or layer is None:
        missing = "layer that makes them was found" if layer is None else "more images to judge by"
        return "values", f"no {missing}"
    rows, spread, level = _sums(tensor, layer)
    if rows * spread < _SPREAD and (rows * level < _LEVEL or rows < _ROWS):
        return "classes", "their sums are untrained, as cross-entropy leaves them"
    return "values", "their sums are trained, unlike those of logits"


def _sums(tensor: Tensor, layer: Tensor) -> tuple[float, float, float]:
    """Return sizes of sums over dimension 1, in units of those of independent summands.

    These are the squared norm of the sum of the last layer's rows, the variance of the sums of
    outputs, and their mean square.

    Cross-entropy does not change when all logits of an image do by the same amount, so its
    gradient never changes the sum of the last layer's rows. What is left is that of the random
    initialization, small against trained rows and the outputs' variance.
    """
    weight = layer.double().flatten(1)
    of_rows = float(weight.sum(0).square().sum() / weight.square().sum().clamp_min(1e-30))
    outputs = rows(tensor.double())
    sums = outputs.sum(1)
    variance = float(outputs.var(0, correction=0).sum().clamp_min(1e-30))
    return of_rows, float(sums.var(correction=0)) / variance, float(sums.square().mean()) / variance


def _are_decided(tensor: Tensor) -> bool:
    """Whether values are from 0 to 1 and mostly near an end, as probabilities of labels are.

    Pictures have such values, too, so maps are none.
    """
    if tensor.dim() > 2 or not tensor.numel():
        return False
    within = bool(((tensor >= 0) & (tensor <= 1)).all())
    if not within or bool((tensor > 0.5).all()) or bool((tensor < 0.5).all()):
        return False
    return float((4 * tensor * (1 - tensor)).mean()) < _DECIDED


def _are_probabilities(tensor: Tensor, kind: str) -> bool:
    if kind == "classes":
        return sums_to_one(tensor)
    return kind == "multilabel" and bool(((tensor >= 0) & (tensor <= 1)).all())


@torch.no_grad()
def _observe(model: nn.Module, batches: Iterable[Pair]) -> Seen | None:
    """Return the outputs of some images; None unless all tensors have a row for each image."""
    layers: list[Tensor] = []
    columns: list[list[Tensor]] = []
    labels: list[Tensor | None] = []

    def keep(_: str, layer: nn.Module, __: Any, ___: Any) -> None:
        layers.append(layer.get_parameter("weight").detach())

    names = [n for n, m in model.named_modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    with eval_mode(model), output_hooks(model, names, keep):
        for inputs, given in first_pairs(batches):
            if not images_in(inputs):
                continue
            layers.clear()
            tensors = numbers(call(model, inputs))
            if any(t.dim() == 0 or len(t) != images_in(inputs) for t in tensors):
                return None
            columns.append(tensors)
            labels.append(given)
    if len({tuple(t.shape[1:2] for t in tensors) for tensors in columns}) > 1:
        return None
    if len({tuple(t.shape[1:] for t in tensors) for tensors in columns}) > 1:
        columns, labels = columns[:1], labels[:1]  # maps of several sizes
    joined = [torch.cat(column).float().cpu() for column in zip(*columns, strict=True)]
    known = [each.cpu() for each in labels if each is not None]
    whole = len(known) == len(labels) > 0 and len({each.shape[1:] for each in known}) == 1
    return Seen(joined, torch.cat(known) if whole else None, layers)
