"""What a whole model costs, counted by fvcore."""

from __future__ import annotations

import warnings
from collections import Counter
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ghostify.layers import CheapOperation
from ghostify.replica import shared_replica
from ghostify.spec import Example, GhostifyError, describe_example, split_example
from ghostify.spec.errors import first_line

with warnings.catch_warnings():
    # fvcore scripts two losses when it is imported, and torch.jit.script is deprecated.
    warnings.filterwarnings("ignore", message=r"`torch\.jit\.script`", category=Warning)
    from fvcore.nn import FlopCountAnalysis
    from fvcore.nn.jit_handles import conv_flop_count, elementwise_flop_counter, get_shape


@dataclass(frozen=True, slots=True)
class Count:
    """The costs of a model on one example.

    Attributes:
        params: all parameters, shared ones once.
        weight_bytes: bytes of these parameters.
        macs: multiply-accumulates of one forward pass by operator, as fvcore names them.
        uncounted: operators that fvcore has no rule for, and how often they ran.
    """

    params: int
    weight_bytes: int
    macs: dict[str, int]
    uncounted: dict[str, int]

    @property
    def total_macs(self) -> int:
        """The total over all operators that fvcore counts."""
        return sum(self.macs.values())

    @property
    def conv_and_linear_macs(self) -> int:
        """The part of convolutions and linear layers, which is what papers state."""
        return self.macs.get("conv", 0) + self.macs.get("linear", 0)


def count(model: nn.Module, example: Example) -> Count:
    """Count parameters and, with one forward pass in evaluation mode, MACs.

    Two rules are added to fvcore's: convolutions with ``padding="same"``, and the channel-wise
    multiplication that a cheap operation with d = 1 is computed as.

    Raises:
        GhostifyError: if fvcore cannot trace the model on the example.
    """
    positional, entry = _positional(shared_replica(model).eval(), example)
    analysis = (
        FlopCountAnalysis(entry, positional)
        .set_op_handle("aten::_convolution_mode", _count_padding_mode)
        .set_op_handle("aten::mul", elementwise_flop_counter(0, 1))
        .unsupported_ops_warnings(False)
        .uncalled_modules_warnings(False)
        .tracer_warnings("none")
    )
    try:
        with torch.no_grad():
            operators = Counter(analysis.by_operator())
    except Exception as error:
        raise GhostifyError(
            f"fvcore cannot count {type(model).__name__} on an input of "
            f"{describe_example(example)}: {first_line(error)}"
        ) from error
    operators["conv"] += _cheap_multiplications(entry, analysis)
    del operators["mul"]
    parameters = list(model.parameters())
    return Count(
        params=sum(p.numel() for p in parameters),
        weight_bytes=sum(p.numel() * p.element_size() for p in parameters),
        macs={name: int(macs) for name, macs in operators.items()},
        uncounted=dict(analysis.unsupported_ops()),
    )


def _count_padding_mode(inputs: list[Any], outputs: list[Any]) -> Counter[str]:
    shapes = [get_shape(value) for value in (*inputs[:2], outputs[0])]
    return Counter(conv=int(conv_flop_count(*shapes)))


def _cheap_multiplications(model: nn.Module, analysis: Any) -> int:
    by_module = analysis.by_module_and_operator()
    return sum(
        int(by_module[name]["mul"])
        for name, module in model.named_modules()
        if isinstance(module, CheapOperation) and module.dw_size == 1
    )


class _Keywords(nn.Module):
    """Takes by position what a model wants by keyword, for fvcore passes positional inputs only."""

    def __init__(self, model: nn.Module, names: tuple[str, ...]) -> None:
        super().__init__()
        self.model = model
        self.names = names

    def forward(self, *values: Any) -> Any:
        return self.model(**dict(zip(self.names, values, strict=True)))


def _positional(model: nn.Module, example: Example) -> tuple[tuple[Any, ...], nn.Module]:
    args, kwargs = split_example(example)
    if not kwargs:
        return args, model
    return tuple(kwargs.values()), _Keywords(model, tuple(kwargs))
