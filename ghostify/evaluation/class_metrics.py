"""Metrics of classes: of images, or of the pixels of a segmentation."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ghostify.evaluation.divergence import logits_of
from ghostify.types.outputs import Output

_TOP_K = 5


def zeros(output: Output) -> dict[str, Tensor]:
    """Return all sums of no images."""
    names = ("positions", "correct", "correct_top5", "loss", "pairs", "agreeing")
    single = {name: torch.zeros((), dtype=torch.float64) for name in names}
    classes = ("intersections", "predicted", "labeled_as") if output.dense else ()
    return single | {name: torch.zeros(output.size, dtype=torch.float64) for name in classes}


def against_labels(tensor: Tensor, labels: Tensor, output: Output) -> dict[str, Any]:
    """Return sums of comparisons with class indices, -1 for none, or class probabilities."""
    logits = logits_of(tensor.double(), output)
    target = labels if labels.dim() < logits.dim() else labels.argmax(1)
    found, valid = logits.argmax(1), target >= 0
    top = logits.topk(min(_TOP_K, output.size), 1).indices
    sums = {
        "positions": valid.sum(),
        "correct": (found == target).sum(),
        "correct_top5": (top == target.unsqueeze(1)).any(1).sum(),
        "loss": F.cross_entropy(logits, labels.double() if labels is not target else labels,
                                ignore_index=-1, reduction="sum"),
    }  # fmt: skip
    if output.dense:
        pairs = {
            "intersections": found[valid & (found == target)],
            "predicted": found[valid],
            "labeled_as": target[valid],
        }
        sums |= {n: torch.bincount(each, minlength=output.size) for n, each in pairs.items()}
    return sums


def against_teacher(tensor: Tensor, taught: Tensor, output: Output) -> dict[str, Any]:
    """Return sums of comparisons with the teacher's output."""
    agreeing = tensor.argmax(1) == taught.argmax(1)
    return {"pairs": agreeing.numel(), "agreeing": agreeing.sum()}


def with_labels(sums: dict[str, Tensor], output: Output) -> dict[str, float]:
    """Return the metrics that need labels."""
    positions = sums["positions"].clamp_min(1)
    correct = float(sums["correct"] / positions)
    found = {"loss": float(sums["loss"] / positions)}
    if output.dense:
        return found | {"accuracy": correct, "mean_iou": mean_iou(sums)}
    if output.size > _TOP_K:
        found["top5"] = float(sums["correct_top5"] / positions)
    return found | {"top1": correct}


def with_teacher(sums: dict[str, Tensor], output: Output) -> dict[str, float]:
    """Return the metrics that need a teacher."""
    return {"agreement": float(sums["agreeing"] / sums["pairs"].clamp_min(1))}


def mean_iou(sums: dict[str, Tensor]) -> float:
    """Return the mean intersection over union of the classes that are labeled or predicted."""
    unions = sums["predicted"] + sums["labeled_as"] - sums["intersections"]
    present = unions > 0
    return float((sums["intersections"][present] / unions[present]).mean())
