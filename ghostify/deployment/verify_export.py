"""Does a session give what the network gives?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from ghostify.analysis.dry_run import clone_tensors
from ghostify.deployment.backends.exporter import Session
from ghostify.deployment.backends.tensors import batch_of, tensors_of
from ghostify.types import Example, GhostifyError, describe_example, split_example

TOLERANCE = 1e-3
"""Relative error that an export may have; float32 networks have some 1e-6."""

INPUTS = 3
"""On how many inputs an export is verified."""

_NEGLIGIBLE = 1e-6


@dataclass(frozen=True)
class Errors:
    """The largest differences of output numbers: as they are, and over the largest number."""

    absolute: float = 0.0
    relative: float = 0.0

    def __or__(self, other: Errors) -> Errors:
        return Errors(max(self.absolute, other.absolute), max(self.relative, other.relative))

    @property
    def tolerable(self) -> bool:
        """Whether that is rounding."""
        return self.relative <= TOLERANCE or self.absolute <= _NEGLIGIBLE


def verify(network: nn.Module, session: Session, inputs: Sequence[Example]) -> Errors:
    """Compare all outputs on all inputs.

    Raises:
        GhostifyError: if they differ by more than rounding.
    """
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
            leaf = errors_of(here, there)
            if not leaf.tolerable:
                raise GhostifyError(f"outputs differ by {leaf.relative:.2g}, relatively, {where}")
            errors |= leaf
    return errors


def errors_of(found: Tensor, expected: Tensor) -> Errors:
    """Those of one output; numbers that are infinite, or none, must be so in both."""
    found, expected = found.detach().double(), expected.detach().double()
    finite = expected.isfinite()
    if not torch.equal(finite, found.isfinite()) or not torch.equal(
        found[~finite].nan_to_num(), expected[~finite].nan_to_num()
    ):
        return Errors(math.inf, math.inf)
    if not finite.any():
        return Errors()
    absolute = (found - expected)[finite].abs().max().item()
    size = expected[finite].abs().max().item()
    return Errors(absolute, absolute / size if size else math.inf if absolute else 0.0)


def probes(example: Example, *, any_batch: bool) -> list[Example]:
    """The example and two more inputs with other values, batches of 1 and 5 where they may vary."""
    generator = torch.Generator().manual_seed(0)
    sizes = [batch_of(example, size) for size in (1, 5)] if any_batch else [example, example]
    others = [
        tree_map_only(Tensor, lambda tensor: _other_values(tensor, generator), sized)
        for sized in sizes
    ]
    return [example, *others]


def _other_values(tensor: Tensor, generator: torch.Generator) -> Tensor:
    """Noise of the same mean and spread; numbers that are no measures, in another order."""
    if not tensor.dim() or not tensor.numel():
        return tensor
    if not tensor.is_floating_point():
        chosen = torch.randint(tensor.numel(), (tensor.numel(),), generator=generator)
        return tensor.flatten()[chosen].view_as(tensor)
    values = tensor.float()
    spread, mean = values.std(correction=0), values.mean()
    noise = torch.randn(tensor.shape, generator=generator)
    return (noise * spread + mean if spread > 0 else noise).to(tensor.dtype)
