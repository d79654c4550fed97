"""Metrics of a network's outputs, accumulated over batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils._pytree import tree_leaves

from ghostify.types import GhostifyError, Score

_SUMS = (
    "images", "labelled", "correct", "correct_top5", "loss",
    "compared", "agreeing", "divergence", "squared_error", "squared_norm",
)  # fmt: skip
_TOP_K = 5

Reduce = Callable[[Tensor], Tensor]
"""Sums a tensor over processes."""


class Metrics:
    """Accumulates how outputs compare with labels and with a teacher's outputs.

    Outputs of shape ``(B, classes)`` are logits. The relative error covers every floating-point
    output that has the shape of the teacher's.

    Attributes:
        totals: sums over all batches, float64. Those of several processes can be added.
        classes: number of classes, 0 without logits.
    """

    def __init__(self) -> None:
        self.totals = torch.zeros(len(_SUMS), dtype=torch.float64)
        self.classes = 0

    def update(self, output: Any, labels: Tensor | None, expected: Any, images: int) -> None:
        """Add the outputs of the network and of the teacher, or None, for a batch.

        Labels are class indices ``(B)`` or probabilities ``(B, classes)``; others are ignored.
        """
        sums = dict.fromkeys(_SUMS, 0.0) | {"images": float(images)}
        outputs = numbers(output)
        if outputs and is_logits(outputs[0]):
            self.classes = outputs[0].shape[1]
            sums |= _compare_labels(outputs[0], labels)
        if expected is not None:
            sums |= _compare_outputs(outputs, numbers(expected))
        self.totals += torch.tensor([sums[name] for name in _SUMS], dtype=torch.float64)

    def compute(self, reduce: Reduce | None = None) -> Score:
        """Return the score over all batches, of all processes if ``reduce`` is given."""
        totals = self.totals if reduce is None else reduce(self.totals)
        sums = dict(zip(_SUMS, totals.tolist(), strict=True))
        images = sums["images"]

        def mean(name: str, over: str) -> float | None:
            return sums[name] / images if 0 < images == sums[over] else None

        norm = sums["squared_norm"]
        return Score(
            images=int(images),
            top1=mean("correct", "labelled"),
            top5=mean("correct_top5", "labelled") if self.classes > _TOP_K else None,
            loss=mean("loss", "labelled"),
            agreement=mean("agreeing", "compared"),
            kl=mean("divergence", "compared"),
            relative_error=sums["squared_error"] / norm if norm else None,
        )


def numbers(output: Any) -> list[Tensor]:
    """Return the floating-point tensors of an output of any structure."""
    leaves = tree_leaves(output)
    return [leaf for leaf in leaves if isinstance(leaf, Tensor) and leaf.is_floating_point()]


def is_logits(output: Tensor) -> bool:
    """Return whether a tensor has shape ``(B, classes)``, with more than one class."""
    return output.dim() == 2 and output.shape[1] > 1


def _compare_labels(logits: Tensor, labels: Tensor | None) -> dict[str, float]:
    if labels is None or labels.shape not in (logits.shape[:1], logits.shape):
        return {}
    labels = labels.to(logits.device)
    classes = logits.shape[1]
    if labels.dim() == 1:
        if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
            raise GhostifyError(
                f"labels (from {int(labels.min())} to {int(labels.max())}) must be from 0 to "
                f"{classes - 1}: the network has {classes} classes"
            )
        target = labels = labels.long()
    else:
        target = labels.argmax(1)
    top5 = logits.topk(min(_TOP_K, classes), 1).indices
    return {
        "labelled": float(len(logits)),
        "correct": float((logits.argmax(1) == target).sum()),
        "correct_top5": float((top5 == target[:, None]).any(1).sum()),
        "loss": float(F.cross_entropy(logits.double(), labels, reduction="sum")),
    }


def _compare_outputs(outputs: list[Tensor], expected: list[Tensor]) -> dict[str, float]:
    sums = dict.fromkeys(("squared_error", "squared_norm"), 0.0)
    for teacher, own in zip(expected, outputs, strict=False):
        if teacher.shape == own.shape:
            finite = teacher.isfinite()  # the logit of a masked class is -inf
            sums["squared_error"] += float((teacher - own)[finite].double().square().sum())
            sums["squared_norm"] += float(teacher[finite].double().square().sum())
    if expected and outputs and is_logits(expected[0]) and expected[0].shape == outputs[0].shape:
        log_p, log_q = (logits[0].double().log_softmax(1) for logits in (expected, outputs))
        possible = log_p.exp() > 0
        sums["compared"] = float(len(log_p))
        sums["agreeing"] = float((expected[0].argmax(1) == outputs[0].argmax(1)).sum())
        sums["divergence"] = float((log_p.exp() * (log_p - log_q))[possible].sum())
    return sums
