"""What a whole model costs, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ghostify.types.serialization import Serializable


@dataclass(frozen=True, slots=True)
class Count(Serializable):
    """The costs of a model on one example.

    Attributes:
        params: all parameters, shared ones once.
        weight_bytes: bytes of these parameters.
        macs: multiply-accumulates of one forward pass by operator, as fvcore names them.
        uncounted: operators that fvcore has no rule for, and how often they ran.
        counter: who counted, ``fvcore`` or ``torch``.
    """

    _noun: ClassVar[str] = "count"

    params: int
    weight_bytes: int
    macs: dict[str, int]
    uncounted: dict[str, int]
    counter: str = "fvcore"

    @property
    def total_macs(self) -> int:
        """The total over all operators that are counted."""
        return sum(self.macs.values())

    @property
    def conv_and_linear_macs(self) -> int:
        """The part of convolutions and linear layers, which is what papers state."""
        return self.macs.get("conv", 0) + self.macs.get("linear", 0)
