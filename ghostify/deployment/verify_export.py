"""Compare the outputs of an exported file with those of the network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from ghostify.analysis.dry_run import clone_tensors
from ghostify.deployment.exporters import Session
from ghostify.deployment.tensors import resize_batch, tensors_of
from ghostify.types import Example, GhostifyError, describe_example, split_example

TOLERANCE = 1e-3
"""Largest relative error of an export; float32 networks have about 1e-6."""

INPUTS = 3
"""Number of inputs on which an export is verified."""

_NEGLIGIBLE = 1e-6


@dataclass(frozen=True)
class Errors:
    """Largest absolute error of an output, and largest error over its largest value."""

    absolute: float = 0.0
    relative: float = 0.0

    def __or__(self, other: Errors) -> Errors:
        return Errors(max(self.absolute, other.absolute), max(self.relative, other.relative))

    @property
    def acceptable(self) -> bool:
        """Whether the errors can be rounding."""
        return self.relative <= TOLERANCE or self.absolute <= _NEGLIGIBLE


def verify(network: nn.Module, session: Session, inputs: Sequence[Example]) -> Errors:
    """Return the errors of a session on all inputs; above rounding, raise a `GhostifyError`."""
    errors = Errors()
    for example in inputs:
        args, kwargs = split_example(clone_tensors(example))
        with torch.no_grad():
            expected = tensors_of(network(*args, **kwargs))
        found = session(tensors_of(example))
        shapes = [[tuple(leaf.shape) for leaf in leaves] for leaves in (found, expected)]
        where = f"on an input of {describe_example(example)}"
        if shapes[0] != shapes[1]:
            raise GhostifyError(f"outputs are {shapes[0]} instead of {shapes[1]} {where}")
        for here, there in zip(found, expected, strict=True):
            leaf = output_errors(here, there)
            if not leaf.acceptable:
                raise GhostifyError(f"outputs differ by {leaf.relative:.2%} {where}")
            errors |= leaf
    return errors


def output_errors(found: Tensor, expected: Tensor) -> Errors:
    """Return the errors of one output; infinities and NaNs must be the same in both."""
    found, expected = found.detach().double(), expected.detach().double()
    finite = expected.isfinite()
    same = torch.allclose(found[~finite], expected[~finite], equal_nan=True)
    if not same or not found[finite].isfinite().all():
        return Errors(math.inf, math.inf)
    if not finite.any():
        return Errors()
    absolute = (found - expected)[finite].abs().max().item()
    size = expected[finite].abs().max().item()
    return Errors(absolute, absolute / size if size else math.inf if absolute else 0.0)


def probes(example: Example, *, any_batch: bool) -> list[Example]:
    """Return the example and two inputs of other values; of batch sizes 1 and 5 if any will do."""
    generator = torch.Generator().manual_seed(0)
    sizes = [resize_batch(example, size) for size in (1, 5)] if any_batch else [example, example]
    others = [tree_map_only(Tensor, lambda t: _other_values(t, generator), s) for s in sizes]
    return [example, *others]


def _other_values(tensor: Tensor, generator: torch.Generator) -> Tensor:
    """Return noise of the same mean and standard deviation; integers are shuffled instead."""
    if not tensor.dim() or not tensor.numel():
        return tensor
    if not tensor.is_floating_point():
        chosen = torch.randint(tensor.numel(), (tensor.numel(),), generator=generator)
        return tensor.flatten()[chosen].view_as(tensor)
    values = tensor.float()
    spread, mean = values.std(correction=0), values.mean()
    noise = torch.randn(tensor.shape, generator=generator)
    return (noise * spread + mean if spread > 0 else noise).to(tensor.dtype)
