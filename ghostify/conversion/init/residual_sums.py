"""Residual sums: layers that compute the last term, which can correct an error of the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from ghostify.analysis.dataflow import Dataflow, Step, Value

_ADDITIONS = frozenset({torch.add, Tensor.add, Tensor.add_})  # also a + b and a += b
_SUMS = frozenset({torch.ops.aten.add.Tensor, torch.ops.aten.add_.Tensor})
_MIN_SCALE = 0.05
"""Smallest scale of a BatchNorm channel that is inverted, relative to the upper quartile."""


@dataclass
class ResidualTerm:
    """The output of a layer on its way to a residual sum.

    Attributes:
        feature_maps: the output, after the BatchNorm if there is one.
        normalize: that BatchNorm as a function, or the identity.
        at_sum: called before the addition with the term and the feature maps it is added to.
    """

    feature_maps: Tensor
    normalize: Callable[[Tensor], Tensor]
    at_sum: Callable[[ResidualTerm, Tensor], None]


class ResidualSums(TorchFunctionMode):
    """Follows layer outputs through at most one BatchNorm to the sum that they are a term of."""

    def __init__(self) -> None:
        super().__init__()
        self._terms: dict[int, ResidualTerm] = {}

    def follow(self, output: Tensor, at_sum: Callable[[ResidualTerm, Tensor], None]) -> None:
        """Call ``at_sum`` right before ``output`` is added to feature maps of the same shape."""
        self._terms[id(output)] = ResidualTerm(output, lambda maps: maps, at_sum)

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if self._terms and function in _ADDITIONS and len(args) == 2 and not kwargs:
            for mine, other in (args, args[::-1]):
                term = self._terms.get(id(mine))
                if term and isinstance(other, Tensor) and other.shape == mine.shape:
                    self._forget(term)
                    term.at_sum(term, other)
        result = function(*args, **kwargs)
        if function is F.batch_norm and (term := self._terms.get(id(args[0]))):
            self._terms[id(result)] = ResidualTerm(
                result,
                lambda feature_maps: function(feature_maps, *args[1:], **kwargs),
                term.at_sum,
            )
        return result

    def _forget(self, done: ResidualTerm) -> None:
        self._terms = {
            key: term for key, term in self._terms.items() if term.at_sum is not done.at_sum
        }


def last_terms(flow: Dataflow) -> frozenset[str]:
    """Return the convolutions that compute the last term of a residual sum.

    Only the sum reads their feature maps, directly or through the BatchNorm that follows them.
    """
    norms = flow.following_norms()
    found: set[str] = set()
    latest = None
    for step in flow.sequence:
        if step.layer and step.layer not in norms.values():
            latest = step
        elif latest and step.operation in _SUMS and "alpha" not in step.kwargs:
            output = _output_of(latest, flow, norms.get(latest.layer))
            first, *others = dict.fromkeys(step.inputs)
            if output in (first, *others) and [v.shape for v in others] == [first.shape]:
                found.add(latest.layer)
    return frozenset(found)


def _output_of(step: Step, flow: Dataflow, norm: str | None) -> Value | None:
    """The feature maps of a layer behind its BatchNorm, if one step alone reads them."""
    for layer in filter(None, (step.layer, norm)):
        steps = flow.steps[layer]
        values = [value for only in steps for value in only.outputs]
        if len(steps) != 1 or len(values) != 1 or len(set(values[0].consumers)) != 1:
            return None
    return values[0] if len(values[0].shape) == 4 else None


def inverse_scale(norm: nn.Module | None, channels: int) -> Tensor:
    """``(n,)``: sigma / gamma of a BatchNorm, which turns units of a sum into those of a layer.

    Zero for channels that the BatchNorm nearly removes; ones without a BatchNorm.
    """
    if norm is None:
        return torch.ones(channels)
    scale = (norm.get_buffer("running_var") + norm.eps).rsqrt()  # type: ignore[operator]
    if isinstance(norm.weight, Tensor):
        scale = scale * norm.weight.detach()
    enough = scale.abs() > _MIN_SCALE * scale.abs().quantile(0.75)
    return torch.where(enough, 1 / scale, torch.zeros_like(scale))
