"""How good a network is on images that it has not learnt from."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from ghostify.data import images_in
from ghostify.evaluation.metrics import Metrics, numbers
from ghostify.training.feed import Batch
from ghostify.types import RecoverySettings, Score, split_example


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
    tally = Metrics()
    for inputs, labels in batches:
        args, kwargs = split_example(inputs)
        expected, found = teacher(*args, **kwargs), model(*args, **kwargs)
        tally.add(found, labels, expected, images_in(inputs))
    return tally.score(summed)


@torch.no_grad()
def likely_cause(teacher: nn.Module, batch: Batch, settings: RecoverySettings) -> str:
    """What to look at, by where on the batch the first value is that is not finite."""
    inputs, _ = batch
    tensors = [leaf for leaf in tree_leaves(inputs) if isinstance(leaf, Tensor)]
    if not all(bool(tensor.isfinite().all()) for tensor in tensors):
        return "the images of this batch are not: look at the data"
    args, kwargs = split_example(inputs)
    if not all(bool(output.isfinite().all()) for output in numbers(teacher(*args, **kwargs))):
        return "the teacher's outputs on this batch are not: are images normalised as it expects?"
    if settings.precision == "fp16":
        return "fp16 reaches to 65,504 only: try precision bf16 or fp32"
    rate = settings.peak_lr
    return f"most likely the lr (={rate:g}) is too high: try {rate / 4:g}"
