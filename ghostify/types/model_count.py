"""Costs of a whole model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ghostify.types.serialization import Serializable


@dataclass(frozen=True, slots=True)
class Count(Serializable):
    """Parameters and MACs of a model on one example.

    Attributes:
        params: number of parameters; shared ones count once.
        weight_bytes: bytes of the parameters.
        macs: MACs of one forward pass by operator, as fvcore names them.
        uncounted: number of calls of each operator that fvcore has no rule for.
        counter: what counted: ``fvcore`` or ``torch``.
    """

    _noun: ClassVar[str] = "count"

    params: int
    weight_bytes: int
    macs: dict[str, int]
    uncounted: dict[str, int]
    counter: str = "fvcore"

    @property
    def total_macs(self) -> int:
        """MACs of all counted operators."""
        return sum(self.macs.values())

    @property
    def conv_and_linear_macs(self) -> int:
        """MACs of convolutions and linear layers, which papers report."""
        return self.macs.get("conv", 0) + self.macs.get("linear", 0)
