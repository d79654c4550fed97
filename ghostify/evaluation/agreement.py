"""How far two networks give the same outputs."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from ghostify.analysis.model_copy import frozen_copy
from ghostify.data import images_in
from ghostify.evaluation.metrics import Metrics
from ghostify.types import Agreement, Example, split_example


@torch.no_grad()
def agreement(
    model: nn.Module, converted: nn.Module, batches: Sequence[Example]
) -> Agreement | None:
    """Run both in evaluation mode on the same images, and compare what they give.

    Outputs ``(B, classes)`` are taken for logits. All floating-point outputs of the same shape
    count for the relative error; others, such as boxes that only one network has found, do not.

    Returns:
        None if there is nothing to compare.
    """
    twins = frozen_copy(model), frozen_copy(converted)
    tally = Metrics()
    for batch in batches:
        args, kwargs = split_example(batch)
        expected, found = (twin(*args, **kwargs) for twin in twins)
        tally.add(found, None, expected, images_in(batch))
    score = tally.score()
    if score.relative_error is None:
        return None
    return Agreement(score.images, score.relative_error, score.agreement, score.kl)
