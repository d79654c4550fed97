"""How good a network is on images that it has not learnt from."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from ghostify.calibration import images_in
from ghostify.recovery.feed import Batch
from ghostify.spec import Score, split_example
from ghostify.tally import Tally


@torch.no_grad()
def score(
    model: nn.Module,
    teacher: nn.Module,
    batches: Iterable[Batch],
    summed: Callable[[Tensor], Tensor],
) -> Score:
    """That of ``model`` beside its teacher, and the labels where there are some.

    Args:
        summed: adds up totals over processes.
    """
    tally = Tally()
    for inputs, labels in batches:
        args, kwargs = split_example(inputs)
        expected, found = teacher(*args, **kwargs), model(*args, **kwargs)
        tally.add(found, labels, expected, images_in(inputs))
    return tally.score(summed)
