"""Diagnosis of a loss that is not finite."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from ghostify.evaluation.metrics import numbers
from ghostify.training.feed import Batch
from ghostify.types import RecoverySettings, split_example


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
