"""Scores of a network on images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ghostify.analysis.arguments import check_model
from ghostify.analysis.model_copy import frozen_copy
from ghostify.analysis.preserve import eval_mode
from ghostify.data import Data, images_in, opened_for_evaluation, split_labels
from ghostify.data.batches import call, with_progress
from ghostify.evaluation.metrics import Metrics, Reduce
from ghostify.evaluation.output_kinds import find_outputs, first_pairs, known_outputs
from ghostify.types import Example, GhostifyError, Outputs, Score
from ghostify.types.outputs import OutputsLike
from ghostify.types.progress import ShowProgress


def evaluate(
    model: nn.Module,
    data: Data | Iterable[Any] | str | Path,
    *,
    teacher: nn.Module | None = None,
    outputs: OutputsLike = None,
    progress: ShowProgress = True,
) -> Score:
    """Score a network in evaluation mode, on the device of its parameters.

    The first output is scored with the labels if every batch has labels that fit. With a teacher,
    outputs of any structure are compared with the teacher's. The metrics are those of the kind of
    the outputs (`Outputs`).

    Args:
        model: the network. Its training mode is restored on return.
        data: batches of images, with or without labels, from a `DataLoader` or another iterable;
            a `Data`, whose validation images are used; or the name of a source, which
            `open_evaluation` opens if the network declares its input size.
        teacher: the network to compare with, usually the original, on the same device.
        outputs: what the outputs are: ``"classes"``, ``"multilabel"`` or ``"values"``. Default:
            found by the labels, by what an earlier step found, or by the outputs themselves.
        progress: show a progress bar, or call this function with each `Progress`.

    Raises:
        GhostifyError: if there are no images, or neither labels nor teacher match the outputs.
    """
    check_model(model, wrapped=True)
    if teacher is not None:
        check_model(teacher, "teacher", wrapped=True)
    with eval_mode(model), eval_mode(model if teacher is None else teacher):
        images = opened_for_evaluation(data, [model])
        batches = with_progress(validation_batches(images), "evaluating", progress)
        pairs = map(split_labels, batches)
        first = list(first_pairs(pairs))
        judge = model if teacher is None else teacher
        outputs = find_outputs(judge, first, outputs, known_outputs(model, teacher))
        score = compute_score(model, chain(first, pairs), outputs, teacher=teacher)
    if not score.images:
        raise GhostifyError("`data` must hold at least one image to evaluate on")
    if any(each is not None for each in (score.loss, score.mae, score.relative_error)):
        return score
    if teacher is None:
        raise GhostifyError(
            "`data` has no labels that match the outputs: pass the original, with its weights, "
            "as `teacher`"
        )
    raise GhostifyError(
        "neither the labels nor the teacher's outputs match the shape of the model's outputs"
    )


def agreement(
    model: nn.Module, converted: nn.Module, batches: Sequence[Example], outputs: Outputs
) -> Score | None:
    """Compare the outputs of frozen copies of two networks on the same inputs.

    Returns:
        The score of ``converted`` with ``model`` as teacher; None if no outputs have equal shapes.
    """
    pairs = ((batch, None) for batch in batches)
    score = compute_score(frozen_copy(converted), pairs, outputs, teacher=frozen_copy(model))
    return None if score.relative_error is None else score


@torch.no_grad()
def compute_score(
    model: nn.Module,
    batches: Iterable[tuple[Example, Tensor | None]],
    outputs: Outputs,
    *,
    teacher: nn.Module | None = None,
    reduce: Reduce | None = None,
) -> Score:
    """Score a network, in the mode that it is in, on pairs of inputs and labels or None.

    ``reduce`` sums a tensor over processes. Default: a single process.
    """
    metrics = Metrics(outputs)
    for inputs, labels in batches:
        if images := images_in(inputs):
            output = call(model, inputs)
            expected = None
            if teacher is not None:
                expected = output if teacher is model else call(teacher, inputs)
            metrics.update(output, labels, expected, images)
    return metrics.compute(reduce)


def validation_batches(data: Data | Iterable[Any]) -> Iterable[Any]:
    """Return the batches to evaluate on."""
    if not isinstance(data, Data):
        return data
    if data.validation is None:
        raise GhostifyError(
            f"{data.name} has no validation images: raise `held_out`; 1 scores all images"
        )
    return data.validation
