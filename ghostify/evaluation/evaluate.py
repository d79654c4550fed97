"""Score a network on images."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from ghostify.analysis.arguments import check_model
from ghostify.analysis.preserve import eval_mode
from ghostify.data import Data, images_in, split_labels
from ghostify.data.batches import call, with_progress
from ghostify.evaluation.metrics import Metrics, Reduce
from ghostify.types import Example, GhostifyError, Score
from ghostify.types.progress import ShowProgress


def evaluate(
    model: nn.Module,
    data: Data | Iterable[Any],
    *,
    teacher: nn.Module | None = None,
    progress: ShowProgress = True,
) -> Score:
    """Score a network in evaluation mode, on the device of its parameters.

    Outputs of shape ``(B, classes)`` are logits. They are scored with the labels if every batch
    has labels. With a teacher, outputs of any structure are compared with the teacher's.

    Args:
        model: the network. Its training mode is restored on return.
        data: batches of images, with or without labels, from a `DataLoader` or another iterable;
            or a `Data`, whose validation images are used.
        teacher: the network to compare with, usually the original, on the same device.
        progress: show a progress bar, or call this function with each `Progress`.

    Raises:
        GhostifyError: if there are no images, or neither labels nor teacher match the outputs.
    """
    check_model(model, wrapped=True)
    if teacher is not None:
        check_model(teacher, "teacher", wrapped=True)
    with ExitStack() as modes:
        for network in filter(None, (model, teacher)):
            modes.enter_context(eval_mode(network))
        batches = with_progress(_validation_batches(data), "evaluating", progress)
        score = compute_score(model, map(split_labels, batches), teacher=teacher)
    if not score.images:
        raise GhostifyError("`data` must hold at least one image to evaluate on")
    if score.top1 is None and score.relative_error is None:
        raise GhostifyError(
            "neither the labels nor the teacher's outputs match the shape of the model's outputs"
            if teacher is not None
            else "`data` has no labels that match the outputs: pass the original, with its "
            "weights, as `teacher`"
        )
    return score


@torch.no_grad()
def compute_score(
    model: nn.Module,
    batches: Iterable[tuple[Example, Tensor | None]],
    *,
    teacher: nn.Module | None = None,
    reduce: Reduce | None = None,
) -> Score:
    """Score a network, in the mode that it is in, on pairs of inputs and labels.

    Args:
        model: the network.
        batches: inputs, and labels or None.
        teacher: the network to compare with, on the same device.
        reduce: sums a tensor over processes. Default: a single process.
    """
    metrics = Metrics()
    for inputs, labels in batches:
        if images := images_in(inputs):
            output = call(model, inputs)
            expected = None
            if teacher is not None:
                expected = output if teacher is model else call(teacher, inputs)
            metrics.update(output, labels, expected, images)
    return metrics.compute(reduce)


def _validation_batches(data: Data | Iterable[Any]) -> Iterable[Any]:
    if not isinstance(data, Data):
        return data
    if data.validation is None:
        raise GhostifyError(
            f"{data.name} has no validation images: open it with `held_out` above 0"
        )
    return data.validation
