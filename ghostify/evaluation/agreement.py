"""Agreement of a converted network's outputs with the original's."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from ghostify.analysis.model_copy import frozen_copy
from ghostify.evaluation.evaluate import compute_score
from ghostify.types import Agreement, Example


def agreement(
    model: nn.Module, converted: nn.Module, batches: Sequence[Example]
) -> Agreement | None:
    """Compare the outputs of two networks on the same inputs.

    Both run as frozen copies in evaluation mode, so neither is touched.

    Returns:
        None if no output of the two has the same shape.
    """
    pairs = ((batch, None) for batch in batches)
    score = compute_score(frozen_copy(converted), pairs, teacher=frozen_copy(model))
    if score.relative_error is None:
        return None
    return Agreement(score.images, score.relative_error, score.agreement, score.kl)
