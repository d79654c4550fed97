"""Labels: what they say of the outputs, and in which form they are compared with them."""

from __future__ import annotations

import torch
from torch import Tensor

from ghostify.types import GhostifyError
from ghostify.types.outputs import Output

IGNORED = 255
"""Label of pixels that have none; negative ones have none, either."""

_TOLERANCE = 1e-3


def kind_by_labels(labels: Tensor, output: Tensor) -> tuple[str, str] | None:
    """Return the kind of outputs that labels are for, and why; None if they do not fit."""
    size = output.shape[1] if output.dim() > 1 else 1
    if size > 1 and _is_indices(labels, output):
        return "classes", "the labels are class indices"
    same = _of_shape(labels, output)
    if same is None:
        return None
    if size > 1 and sums_to_one(same):
        return "classes", "the labels are class probabilities"
    if bool(((same == 0) | (same == 1)).all()):
        return "multilabel", "the labels are 0 or 1"
    return "values", "the labels are numbers"


def sums_to_one(values: Tensor) -> bool:
    """Return whether all values are from 0 to 1, and those along dimension 1 sum to 1."""
    if not bool(((values >= 0) & (values <= 1 + _TOLERANCE)).all()):
        return False
    return bool(((values.double().sum(1) - 1).abs() < _TOLERANCE).all())


def fit_labels(labels: Tensor | None, tensor: Tensor, output: Output) -> Tensor | None:
    """Return labels as they are compared with an output; None if they do not fit it.

    Labels of classes are indices ``(B, ...)``, -1 where a pixel has none, or probabilities
    ``(B, size, ...)``. Others have the shape of the output.

    Raises:
        GhostifyError: if an index is not that of a class.
    """
    if labels is None:
        return None
    labels = labels.to(tensor.device)
    if output.kind == "classes" and _is_indices(labels, tensor):
        indices = labels.reshape(tensor.shape[:1] + tensor.shape[2:]).long()
        if output.dense:
            indices = torch.where(indices == IGNORED, -1, indices).clamp_min(-1)
        return _checked(indices, tensor.shape[1], least=-1 if output.dense else 0)
    same = _of_shape(labels, tensor)
    return None if same is None else same.to(tensor.dtype)


def rows(values: Tensor) -> Tensor:
    """Return ``(N, size)`` of ``(B)`` or ``(B, size, ...)``: a row for each image or position."""
    return values[:, None] if values.dim() == 1 else values.movedim(1, -1).flatten(0, -2)


def _is_indices(labels: Tensor, output: Tensor) -> bool:
    """Whether labels are integers ``(B, ...)`` or ``(B, 1, ...)`` for outputs ``(B, k, ...)``."""
    if labels.is_floating_point() or output.dim() < 2:
        return False
    without, one = output.shape[:1] + output.shape[2:], (len(output), 1, *output.shape[2:])
    return labels.shape == without or (output.shape[1] > 1 and labels.shape == one)


def _of_shape(labels: Tensor, output: Tensor) -> Tensor | None:
    """Return labels in the shape of outputs, from which they differ by a dimension of one."""
    if labels.shape == output.shape:
        return labels
    single = output.dim() == 1 or output.shape[1] == 1
    fits = single and labels.shape[:1] == output.shape[:1] and labels.numel() == output.numel()
    return labels.reshape(output.shape) if fits else None


def _checked(indices: Tensor, classes: int, least: int) -> Tensor:
    if not indices.numel():
        return indices
    low, high = int(indices.min()), int(indices.max())
    if low < least or high >= classes:
        raise GhostifyError(
            f"labels (from {low} to {high}) must be from 0 to {classes - 1}: the network has "
            f"{classes} classes"
        )
    return indices
