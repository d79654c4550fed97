"""Diagnosis of a loss that is not finite."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from ghostify.evaluation.metrics import numbers
from ghostify.training.loader import Batch
from ghostify.types import RecoverySettings, split_example


@torch.no_grad()
def likely_cause(teacher: nn.Module, batch: Batch, settings: RecoverySettings) -> str:
    """Return why the loss of a batch is not finite, and what to do."""
    inputs, _ = batch
    tensors = [leaf for leaf in tree_leaves(inputs) if isinstance(leaf, Tensor)]
    if not all(bool(tensor.isfinite().all()) for tensor in tensors):
        return "the images of this batch are not finite: check the data"
    args, kwargs = split_example(inputs)
    if not all(bool(output.isfinite().all()) for output in numbers(teacher(*args, **kwargs))):
        return "the teacher's outputs on this batch are not finite: check the normalization"
    if settings.precision == "fp16":
        return "fp16 overflows above 65,504: try `precision` bf16 or fp32"
    lr = settings.peak_lr
    return f"`lr` (={lr:g}) is probably too high: try {lr / 4:g}"
