"""Evaluate several networks on the same images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from ghostify.analysis.arguments import check_models
from ghostify.data import Data, opened_for_evaluation, split_labels
from ghostify.data.batches import device_of, find_device
from ghostify.evaluation.evaluate import evaluate, validation_batches
from ghostify.evaluation.output_kinds import find_outputs, known_outputs
from ghostify.planning.flops import count
from ghostify.report.evaluation import UNNAMED, Evaluation, EvaluationRow
from ghostify.types import Example, GhostifyError, Outputs, Score
from ghostify.types.outputs import OutputsLike
from ghostify.types.progress import ShowProgress


def evaluate_models(
    models: Mapping[str, nn.Module],
    data: Data | Iterable[Any] | str | Path,
    *,
    example: Example,
    teacher: nn.Module | None = None,
    outputs: OutputsLike = None,
    device: torch.device | str | None = None,
    progress: ShowProgress = True,
) -> Evaluation:
    """Score networks on the same images, and count their costs.

    Args:
        models: networks by name, usually ``original`` and ``converted``.
        data: what `evaluate` takes; an iterable must be repeatable. The name of a source is opened
            for the input size of ``example``.
        example: an input to count MACs on.
        teacher: the network to compare the others with, usually the original.
        outputs: what the outputs are, as in `evaluate`, which is the same for all networks.
        device: where to compute; the networks are moved there and back. Default: a GPU if any.
        progress: show progress bars, or call this function with each `Progress`.

    Raises:
        GhostifyError: as `evaluate`.
    """
    check_models(models)
    if not models:
        raise GhostifyError("`models` must hold at least one network")
    images = opened_for_evaluation(data, [*models.values()], example)
    rows = {}
    with _moved([*models.values(), *([] if teacher is None else [teacher])], find_device(device)):
        judge = next(iter(models.values())) if teacher is None else teacher
        pairs = map(split_labels, validation_batches(images))
        outputs = find_outputs(judge, pairs, outputs, known_outputs(*models.values(), teacher))
        for name, model in models.items():
            score = evaluate(model, images, teacher=teacher, outputs=outputs, progress=progress)
            rows[name] = evaluation_row(model, score, example)
    return evaluation_on(images, rows, outputs)


def evaluation_on(
    data: Data | Iterable[Any], rows: Mapping[str, EvaluationRow], outputs: Outputs | None
) -> Evaluation:
    """Return an evaluation of these rows, named after the data that they were scored on."""
    if isinstance(data, Data):
        return Evaluation(data.name, data.held_out, rows, outputs, data.seen)
    return Evaluation(UNNAMED, 0, rows, outputs)


@contextmanager
def _moved(models: list[nn.Module], device: torch.device) -> Iterator[None]:
    places = [(model, device_of(model)) for model in models]
    try:
        for model, _ in places:
            model.to(device)
        yield
    finally:
        for model, place in places:
            model.to(place)


def evaluation_row(model: nn.Module, score: Score, example: Example) -> EvaluationRow:
    """Return a score with the MACs and parameters of its network, counted on ``example``."""
    device = device_of(model)
    costs = count(model, tree_map_only(Tensor, lambda tensor: tensor.to(device), example))
    return EvaluationRow(score, costs.conv_and_linear_macs, costs.params)
