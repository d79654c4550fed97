"""Ridge regression of a layer's weights from its present inputs to the original's outputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import torch
from torch import Tensor

from ghostify.conversion.init.sample import Sample

_RIDGES = (1e-8, 1e-5, 1e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
"""Strengths of the regularization toward the old weights, relative to the mean squared input."""

_EXACT = 1e-4
"""Ridge up to which the fit is repeated from the new weights: targets follow from the inputs."""

_MIN_SINGLE = 1e-3
"""Ridge from which others are compared with it in float32; solutions are in float64."""

_BLOCK = 256
"""Columns of a Gram matrix that are computed at a time, from the diagonal down."""

_NOTHING = 1e-30
"""Squared inputs that are taken for zero."""

_ROUNDING = 32 * torch.finfo(torch.float32).eps
"""Changes of inputs, relative to their means, that are taken for rounding errors."""

_COMPARED = 64
"""Outputs of a group by which ridges are compared."""

_MAX_FLOAT64 = 2500
"""Unknowns above which sums are in float32: a float64 Gram matrix of 4,608 inputs (512 channels,
3x3) takes 170 MB."""


def refit(
    sample: Sample, weight: Tensor, ridge: float | None = None, *, intercept: bool = True
) -> Tensor:
    """Return the weights that best give the sample's targets, regularized toward ``weight``.

    With centered patches P (N x c k^2) and centered targets Y, it is W = W0 + argmin_D of
    ||P D - (Y - P W0)||^2 + ridge t ||D||^2, where t is the mean diagonal of P^T P. Groups are
    solved separately.

    By default the ridge is that with which the first half of the sample predicts some outputs of
    the second half best, which is of other images; halved, since both halves are twice the data.

    Args:
        weight: W0, ``(n, c / groups, k, k')``.
        ridge: strength of the regularization. Default: chosen among fourteen.
        intercept: whether means are removed, which a bias can absorb.
    """
    groups = len(sample.windows) // weight.shape[1]
    old = weight.reshape(groups, len(weight) // groups, -1)
    inputs = old.shape[2]

    def grouped(values: Tensor) -> Tensor:
        return values.reshape(groups, -1, values.shape[-1])

    means = sample.mean_window, sample.mean_target
    x_mean, y_mean = (grouped(mean).to(weight) * intercept for mean in means)

    def chunks(part: Sample) -> Iterator[tuple[Tensor, Tensor]]:
        """Centered inputs, and residuals of the old weights."""
        for windows, _, targets in part.chunks():
            x = grouped(windows) - x_mean
            yield x, grouped(targets) - y_mean - old @ x

    floor = len(sample) * (x_mean * _ROUNDING).square().mean(1) + _NOTHING
    problem: Any = _ByPositions if len(sample) < inputs else _ByInputs
    middle = len(sample) // 2
    change: Tensor
    best = math.inf
    if ridge is not None or not middle:
        change = problem.of(chunks(sample), floor).solve(_RIDGES[-1] if ridge is None else ridge)
    else:
        first = problem.of(chunks(sample.select(slice(0, middle))), floor)
        second = problem.of(chunks(sample.select(slice(middle, None))), floor)
        exact = first.some_outputs(), second.some_outputs()
        single = exact[0].single(), exact[1].single()

        def error(ridge: float) -> float:
            fitted, other = single if ridge >= _MIN_SINGLE else exact
            return float(other.error(fitted.solve(ridge)))

        best = _best_ridge(error)
        change = first.joined(second).solve(best / 2)
    new = weight + change.transpose(1, 2).reshape(weight.shape).to(weight)
    return refit(sample, new, best, intercept=intercept) if best <= _EXACT else new


def _best_ridge(error: Callable[[float], float]) -> float:
    """Return the ridge with the least error, downhill from the middle of the list."""
    errors: dict[int, float] = {}

    def at(place: int) -> float:
        if not 0 <= place < len(_RIDGES):
            return math.inf
        if place not in errors:
            errors[place] = error(_RIDGES[place])
        return errors[place]

    place = len(_RIDGES) // 2
    step = 1 if at(place + 1) < at(place) else -1
    while at(place + step) < at(place):
        place += step
    return _RIDGES[place]


@dataclass
class _ByInputs:
    """Normal equations in the inputs.

    Attributes:
        gram: ``(groups, inputs, inputs)``.
        cross: ``(groups, inputs, outputs)``.
        floor: mean diagonal of the Gram matrix that rounding alone gives, ``(groups, 1)``.
    """

    gram: Tensor
    cross: Tensor
    floor: Tensor

    @classmethod
    def of(cls, chunks: Iterable[tuple[Tensor, Tensor]], floor: Tensor) -> Self:
        gram = cross = torch.zeros(())
        for x, residual in chunks:
            if gram.dim() == 0:
                exact = torch.float32 if x.shape[1] > _MAX_FLOAT64 else torch.float64
                gram = x.new_zeros(len(x), x.shape[1], x.shape[1], dtype=exact)
                cross = x.new_zeros(len(x), x.shape[1], residual.shape[1], dtype=exact)
            for start in range(0, x.shape[1], _BLOCK):
                end = start + _BLOCK
                gram[:, start:, start:end] += x[:, start:] @ x[:, start:end].transpose(1, 2)
            cross += x @ residual.transpose(1, 2)
        for start in range(0, gram.shape[-1], _BLOCK):
            end = start + _BLOCK
            gram[:, start:end, end:] = gram[:, end:, start:end].transpose(1, 2)
        return cls(gram, cross, floor)

    def some_outputs(self) -> Self:
        """The same for at most 64 outputs of each group, evenly spread."""
        return type(self)(self.gram, _spread(self.cross, 2), self.floor)

    def single(self) -> Self:
        """The same in float32."""
        return type(self)(self.gram.float(), self.cross.float(), self.floor)

    def joined(self, other: Self) -> Self:
        gram, cross = self.gram.add_(other.gram), self.cross.add_(other.cross)
        return type(self)(gram, cross, self.floor)

    def solve(self, ridge: float) -> Tensor:
        """``(groups, inputs, outputs)``: the change of the weights."""
        level = self.gram.diagonal(dim1=1, dim2=2).mean(1, keepdim=True)
        return _solved(self.gram, ridge, level, self.floor, self.cross)

    def error(self, change: Tensor) -> float:
        """Sum of squared errors with changed weights, up to a constant."""
        return float((change * (self.gram @ change - 2 * self.cross)).sum())


@dataclass
class _ByPositions:
    """The same by ``(P^T P + r I)^-1 P^T R = P^T (P P^T + r I)^-1 R``, for few positions.

    Attributes:
        x: ``(groups, inputs, positions)``.
        residual: ``(groups, outputs, positions)``.
        floor: mean diagonal of the Gram matrix that rounding alone gives, ``(groups, 1)``.
    """

    x: Tensor
    residual: Tensor
    floor: Tensor

    @classmethod
    def of(cls, chunks: Iterable[tuple[Tensor, Tensor]], floor: Tensor) -> Self:
        x, residual = (torch.cat(part, 2) for part in zip(*chunks, strict=True))
        return cls(x, residual, floor)

    @cached_property
    def gram(self) -> Tensor:
        """``(groups, positions, positions)``, the same for every ridge."""
        exact = torch.float32 if self.x.shape[2] > _MAX_FLOAT64 else torch.float64
        return (self.x.transpose(1, 2) @ self.x).to(exact)

    def some_outputs(self) -> Self:
        return type(self)(self.x, _spread(self.residual, 1), self.floor)

    def single(self) -> Self:
        """The same: it is in float32."""
        return self

    def joined(self, other: Self) -> Self:
        x = torch.cat([self.x, other.x], 2)
        return type(self)(x, torch.cat([self.residual, other.residual], 2), self.floor)

    def solve(self, ridge: float) -> Tensor:
        level = self.gram.diagonal(dim1=1, dim2=2).sum(1, keepdim=True) / self.x.shape[1]
        right = self.residual.transpose(1, 2).to(self.gram)
        solved = _solved(self.gram, ridge, level, self.floor, right)
        return self.x @ solved.to(self.x)

    def error(self, change: Tensor) -> float:
        missing = self.residual - change.transpose(1, 2).to(self.x) @ self.x
        return float(missing.square().sum())


def _spread(values: Tensor, dim: int) -> Tensor:
    every = -(-values.shape[dim] // _COMPARED)
    return values[:, ::every] if dim == 1 else values[:, :, ::every]


def _solved(gram: Tensor, ridge: float, level: Tensor, floor: Tensor, right: Tensor) -> Tensor:
    """Solve ``gram + ridge level I``; with a higher ridge where rounding makes it indefinite.

    Inputs that never change are no signal: where the level is below ``floor``, the solution is
    nearly zero.
    """
    nothing = floor / torch.finfo(torch.float32).eps
    while True:
        matrix = gram.clone()
        diagonal = matrix.diagonal(dim1=1, dim2=2)
        diagonal += torch.where(level > floor, ridge * level, nothing.to(level))
        root, failed = torch.linalg.cholesky_ex(matrix)
        if not failed.any() or ridge > 1:
            return torch.cholesky_solve(right, root)
        ridge = 10 * ridge + 1e-9
