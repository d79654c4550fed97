"""Metrics of a network's outputs, accumulated over batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from ghostify.evaluation import class_metrics, label_metrics, value_metrics
from ghostify.evaluation.divergence import divergence, logits_of
from ghostify.evaluation.labels import fit_labels
from ghostify.types import Score
from ghostify.types.outputs import Outputs

Reduce = Callable[[Tensor], Tensor]
"""Sums a tensor over processes."""

Sums = dict[str, Tensor]
"""Sums over images by name, in float64."""

_BY_KIND = {"classes": class_metrics, "multilabel": label_metrics, "values": value_metrics}


class Metrics:
    """Accumulates how outputs compare with labels and with a teacher's outputs.

    Attributes:
        totals: sums over all batches. Those of several processes can be added.
    """

    def __init__(self, outputs: Outputs) -> None:
        self.outputs, self._first = outputs, outputs[0]
        self._kind = _BY_KIND[self._first.kind]
        names = ("images", "labeled", "compared", "divergence", "squared_error", "squared_norm")
        empty = {name: torch.zeros((), dtype=torch.float64) for name in names}
        self.totals: Sums = empty | self._kind.zeros(self._first)

    def update(self, output: Any, labels: Tensor | None, expected: Any, images: int) -> None:
        """Add the outputs of the network and of the teacher, or None, for a batch."""
        tensors, taught = numbers(output), numbers(expected)
        sums: dict[str, Any] = {"images": images}
        if tensors and self._first.size:
            tensor, first = tensors[0], self._first
            fitted = fit_labels(labels, tensor, first)
            if fitted is not None:
                sums |= {"labeled": images} | self._kind.against_labels(tensor, fitted, first)
            if taught and taught[0].shape == tensor.shape:
                sums |= {"compared": images} | self._kind.against_teacher(tensor, taught[0], first)
        sums |= self._over_all(tensors, taught)
        for name, value in sums.items():
            self.totals[name] += torch.as_tensor(value, dtype=torch.float64).cpu()

    def compute(self, reduce: Reduce | None = None) -> Score:
        """Return the score over all batches, of all processes if ``reduce`` is given."""
        sums = self.totals
        if reduce is not None:
            flat = reduce(torch.cat([total.flatten() for total in sums.values()]))
            parts = torch.split(flat, [total.numel() for total in sums.values()])
            sums = {n: part.view_as(sums[n]) for n, part in zip(sums, parts, strict=True)}
        images, norm = int(sums["images"]), float(sums["squared_norm"])
        found: dict[str, float] = {}
        if images and images == sums["labeled"]:
            found |= self._kind.with_labels(sums, self._first)
        if images and images == sums["compared"]:
            found |= self._kind.with_teacher(sums, self._first)
            if self.outputs.are_scores:
                found["kl"] = float(sums["divergence"]) / images
        error = float(sums["squared_error"]) / norm if norm else None
        return Score(images, **found, relative_error=error)

    def _over_all(self, tensors: list[Tensor], taught: list[Tensor]) -> dict[str, float]:
        """Return the divergence and the squared errors of all outputs."""
        sums = dict.fromkeys(("divergence", "squared_error", "squared_norm"), 0.0)
        for number, (own, teacher) in enumerate(zip(tensors, taught, strict=False)):
            if own.shape != teacher.shape:
                continue
            finite = teacher.isfinite()  # the logit of a masked class is -inf
            sums["squared_error"] += float((teacher - own)[finite].double().square().sum())
            sums["squared_norm"] += float(teacher[finite].double().square().sum())
            if self.outputs.are_scores:
                output = self.outputs[number]
                own, teacher = (logits_of(each.double(), output) for each in (own, teacher))
                differing = divergence(own, teacher, output.kind)
                sums["divergence"] += float(differing.sum()) * len(own) / differing.numel()
        return sums


def numbers(output: Any) -> list[Tensor]:
    """Return the floating-point tensors of an output of any structure."""
    leaves = tree_leaves(output)
    return [leaf for leaf in leaves if isinstance(leaf, Tensor) and leaf.is_floating_point()]
