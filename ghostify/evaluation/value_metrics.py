"""Metrics of values, in their own units."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ghostify.evaluation.labels import rows
from ghostify.types.outputs import Output

_NAMES = ("number", "absolute", "squared", "target", "target_squared")
_TINY = 1e-12


def zeros(output: Output) -> dict[str, Tensor]:
    """Return all sums of no images, by entry of dimension 1."""
    zero = torch.zeros(output.size, dtype=torch.float64)
    return {f"{name}{of}": zero.clone() for of in ("", "_taught") for name in _NAMES}


def against_labels(tensor: Tensor, labels: Tensor, output: Output) -> dict[str, Any]:
    """Return sums of comparisons with labels of the output's shape."""
    return dict(zip(_NAMES, _sums(tensor, labels), strict=True))


def against_teacher(tensor: Tensor, taught: Tensor, output: Output) -> dict[str, Any]:
    """Return sums of comparisons with the teacher's output."""
    return {f"{n}_taught": s for n, s in zip(_NAMES, _sums(tensor, taught), strict=True)}


def with_labels(sums: dict[str, Tensor], output: Output) -> dict[str, float]:
    """Return the metrics that need labels."""
    return _metrics(sums, "", "")


def with_teacher(sums: dict[str, Tensor], output: Output) -> dict[str, float]:
    """Return the metrics that need a teacher."""
    return _metrics(sums, "_taught", "teacher_")


def _sums(tensor: Tensor, target: Tensor) -> tuple[Tensor, ...]:
    found, wanted = (rows(each.double()) for each in (tensor, target))
    finite = wanted.isfinite()
    wanted = torch.where(finite, wanted, 0.0)
    error = torch.where(finite, found - wanted, 0.0)
    return (
        finite.sum(0),
        error.abs().sum(0),
        error.square().sum(0),
        wanted.sum(0),
        wanted.square().sum(0),
    )


def _metrics(sums: dict[str, Tensor], of: str, prefix: str) -> dict[str, float]:
    number, absolute, squared, target, target_squared = (sums[f"{n}{of}"] for n in _NAMES)
    if not number.sum():
        return {}
    found = {f"{prefix}mae": float(absolute.sum() / number.sum())}
    spread = target_squared - target.square() / number.clamp_min(1)
    varies = spread > _TINY * target_squared  # a constant target explains nothing
    if bool(varies.any()):
        found[f"{prefix}r2"] = float((1 - squared[varies] / spread[varies]).mean())
    return found
