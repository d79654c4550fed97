"""Outputs counted batch by batch, to a score."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils._pytree import tree_leaves

from ghostify.types import GhostifyError, Score

_NAMES = (
    "images", "wrong", "square", "compared", "agreeing", "divergence",
    "labelled", "right", "near", "loss",
)  # fmt: skip
_NEAR = 5


class Metrics:
    """How a network's outputs compare with labels and with a teacher's outputs.

    Outputs ``(B, classes)`` are taken for logits. All floating-point outputs of the same shape
    count for the relative error; others, such as boxes that only one network has found, do not.

    Attributes:
        totals: sums over what has been added, float64: of several processes they may be added up.
        classes: how many the logits had, or 0.
    """

    def __init__(self) -> None:
        self.totals = torch.zeros(len(_NAMES), dtype=torch.float64)
        self.classes = 0

    def add(self, found: Any, labels: Tensor | None, expected: Any, images: int) -> None:
        """Count a batch.

        Args:
            found: the network's output.
            labels: ``(B)`` or, as shares of classes, ``(B, classes)``; others say nothing.
            expected: the teacher's output, or None.
            images: in the batch.

        Raises:
            GhostifyError: if there is a label beyond the classes.
        """
        own = dict.fromkeys(_NAMES, 0.0) | {"images": float(images)}
        outputs = numbers(found)
        first = outputs[0] if outputs else torch.empty(0)
        if is_logits(first):
            self.classes = first.shape[1]
            own |= _against_labels(first, labels)
        if expected is not None:
            own |= _against_teacher(outputs, numbers(expected))
        self.totals += torch.tensor([own[name] for name in _NAMES], dtype=torch.float64)

    def score(self, summed: Callable[[Tensor], Tensor] = lambda totals: totals) -> Score:
        """What has been counted.

        Args:
            summed: adds up totals over processes.
        """
        own = dict(zip(_NAMES, summed(self.totals).tolist(), strict=True))
        images = own["images"]
        labelled, compared = (0 < images == own[name] for name in ("labelled", "compared"))
        return Score(
            images=int(images),
            top1=own["right"] / images if labelled else None,
            top5=own["near"] / images if labelled and self.classes > _NEAR else None,
            loss=own["loss"] / images if labelled else None,
            agreement=own["agreeing"] / images if compared else None,
            kl=own["divergence"] / images if compared else None,
            relative_error=own["wrong"] / own["square"] if own["square"] else None,
        )


def numbers(output: Any) -> list[Tensor]:
    """The floating-point tensors of an output of any structure, in its order."""
    leaves = tree_leaves(output)
    return [leaf for leaf in leaves if isinstance(leaf, Tensor) and leaf.is_floating_point()]


def is_logits(output: Tensor) -> bool:
    """Whether a tensor is ``(B, classes)``."""
    return output.dim() == 2 and output.shape[1] > 1


def _against_labels(logits: Tensor, labels: Tensor | None) -> dict[str, float]:
    if labels is None or labels.shape not in (logits.shape[:1], logits.shape):
        return {}
    labels = labels.to(logits.device)
    if labels.dim() == 1:
        if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < logits.shape[1]:
            raise GhostifyError(
                f"the labels go from {int(labels.min())} to {int(labels.max())}, but the network "
                f"gives {logits.shape[1]} classes"
            )
        classes = labels = labels.long()
    else:
        classes = labels.argmax(1)
    near = logits.topk(min(_NEAR, logits.shape[1]), 1).indices
    return {
        "labelled": float(len(logits)),
        "right": float((logits.argmax(1) == classes).sum()),
        "near": float((near == classes[:, None]).any(1).sum()),
        "loss": float(F.cross_entropy(logits.double(), labels, reduction="sum")),
    }


def _against_teacher(outputs: list[Tensor], expected: list[Tensor]) -> dict[str, float]:
    own = dict.fromkeys(("wrong", "square"), 0.0)
    for wanted, given in zip(expected, outputs, strict=False):
        if wanted.shape == given.shape:
            known = wanted.isfinite()  # logits of classes that are ruled out are not
            own["wrong"] += float((wanted - given)[known].double().square().sum())
            own["square"] += float(wanted[known].double().square().sum())
    first, second = (found[0] if found else torch.empty(0) for found in (expected, outputs))
    if is_logits(first) and first.shape == second.shape:
        log_p, log_q = first.double().log_softmax(1), second.double().log_softmax(1)
        possible = log_p.exp() > 0
        own["compared"] = float(len(first))
        own["agreeing"] = float((first.argmax(1) == second.argmax(1)).sum())
        own["divergence"] = float((log_p.exp() * (log_p - log_q))[possible].sum())
    return own
