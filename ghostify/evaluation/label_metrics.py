"""Metrics of outputs with several labels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ghostify.evaluation import class_metrics
from ghostify.evaluation.divergence import logits_of
from ghostify.evaluation.labels import rows
from ghostify.types.outputs import Output

_BINS, _LIMIT = 2048, 16.0
"""Bins of logits from -16 to 16, each 1/64 wide."""


def zeros(output: Output) -> dict[str, Tensor]:
    """Return all sums of no images."""
    names = ("entries", "correct", "loss", "pairs", "agreeing")
    single = {name: torch.zeros((), dtype=torch.float64) for name in names}
    labels = ("intersections", "predicted", "labeled_as") if output.dense else ()
    bins = torch.zeros(output.size, 2, _BINS, dtype=torch.float64)
    by_label = {name: torch.zeros(output.size, dtype=torch.float64) for name in labels}
    return single | by_label | {"bins": bins}


def against_labels(tensor: Tensor, labels: Tensor, output: Output) -> dict[str, Any]:
    """Return sums of comparisons with labels, 0 or 1, of the output's shape."""
    logits = rows(logits_of(tensor.double(), output))
    labels = labels.reshape(tensor.shape[0], output.size, *tensor.shape[2:])
    labels = rows(labels.double())
    found, right = logits > 0, labels > 0.5
    sums = {
        "entries": labels.numel(),
        "correct": (found == right).sum(),
        "loss": F.binary_cross_entropy_with_logits(logits, labels, reduction="sum"),
        "bins": _histogram(logits, right),
    }
    if output.dense:
        pairs = {"intersections": found & right, "predicted": found, "labeled_as": right}
        sums |= {name: each.sum(0) for name, each in pairs.items()}
    return sums


def against_teacher(tensor: Tensor, taught: Tensor, output: Output) -> dict[str, Any]:
    """Return sums of comparisons with the teacher's output."""
    own, other = (logits_of(each, output) > 0 for each in (tensor, taught))
    return {"pairs": own.numel(), "agreeing": (own == other).sum()}


def with_labels(sums: dict[str, Tensor], output: Output) -> dict[str, float]:
    """Return the metrics that need labels."""
    entries = sums["entries"].clamp_min(1)
    found = {
        "loss": float(sums["loss"] / entries * output.size),
        "accuracy": float(sums["correct"] / entries),
    }
    present = sums["bins"][:, 1].sum(1) > 0
    if bool(present.any()):
        found["mean_ap"] = float(average_precision(sums["bins"][present]).mean())
    return found | ({"mean_iou": class_metrics.mean_iou(sums)} if output.dense else {})


with_teacher = class_metrics.with_teacher


def average_precision(bins: Tensor) -> Tensor:
    """Return the sum over bins of precision times increase of recall, for each label.

    Args:
        bins: ``(labels, 2, bins)``: numbers of wrong and of right entries by increasing score;
            each label is right somewhere.
    """
    found = bins.flip(2).cumsum(2)
    precision = found[:, 1] / found.sum(1).clamp_min(1)
    recall = found[:, 1] / found[:, 1, -1:]
    return (precision * recall.diff(dim=1, prepend=torch.zeros_like(recall[:, :1]))).sum(1)


def _histogram(logits: Tensor, right: Tensor) -> Tensor:
    """Count wrong and right entries ``(N, labels)`` by label and bin of the logit."""
    labels = logits.shape[1]
    bins = ((logits + _LIMIT) / (2 * _LIMIT) * _BINS).long().clamp(0, _BINS - 1)
    columns = torch.arange(labels, device=logits.device)
    cells = (columns * 2 + right) * _BINS + bins
    return torch.bincount(cells.flatten(), minlength=labels * 2 * _BINS).view(labels, 2, _BINS)
