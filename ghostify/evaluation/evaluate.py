"""How well a network does on images."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from typing import Any

import torch
from torch import nn

from ghostify.analysis.arguments import check_model
from ghostify.analysis.dry_run import eval_mode
from ghostify.data import Data, images_in, split_labels
from ghostify.data.batches import call, with_progress
from ghostify.evaluation.metrics import Metrics
from ghostify.types import GhostifyError, Score
from ghostify.types.progress import ShowProgress


@torch.no_grad()
def evaluate(
    model: nn.Module,
    data: Data | Iterable[Any],
    *,
    teacher: nn.Module | None = None,
    progress: ShowProgress = True,
) -> Score:
    """Score a network in evaluation mode, on the device where its parameters are.

    Outputs ``(B, classes)`` are taken for logits, and scored with the labels where all batches have
    some. With a teacher, outputs of any structure are compared with its own.

    Args:
        model: its modes are as before when this returns.
        data: batches of images, alone or with labels, in a `DataLoader` or any other iterable; of a
            `Data` those that are not trained on.
        teacher: the original, perhaps.
        progress: whether to show a bar, or a function that is called with each `Progress`.

    Raises:
        GhostifyError: if there are no images, or neither labels nor a teacher say anything of the
            outputs.
    """
    check_model(model, wrapped=True)
    if teacher is not None:
        check_model(teacher, "teacher", wrapped=True)
    tally = Metrics()
    with ExitStack() as modes:
        for network in filter(None, (model, teacher)):
            modes.enter_context(eval_mode(network))
        for batch in with_progress(_held_back(data), "evaluating", progress):
            inputs, labels = split_labels(batch)
            if images := images_in(inputs):
                expected = None if teacher is None else call(teacher, inputs)
                tally.add(call(model, inputs), labels, expected, images)
    score = tally.score()
    if not score.images:
        raise GhostifyError("there are no images to evaluate on")
    if score.top1 is None and score.relative_error is None:
        raise GhostifyError(
            "labels do not fit the outputs, nor do the teacher's outputs"
            if teacher is not None
            else "without labels that fit the outputs, the original is needed as teacher, with its "
            "weights"
        )
    return score


def _held_back(data: Data | Iterable[Any]) -> Iterable[Any]:
    if not isinstance(data, Data):
        return data
    if data.validation is None:
        raise GhostifyError(
            f"{data.name} holds no images back to be scored on: give it a validation part, or "
            "hold out a share"
        )
    return data.validation
