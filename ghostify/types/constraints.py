"""Constraints on the fields of records, checked when a file is read."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Annotated, Any

_ROUNDING = 1e-4


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from ``low`` to ``high``, with room for rounding; NaN is in every range."""

    low: float
    high: float = inf

    @property
    def rule(self) -> str:
        """What numbers must be."""
        if self.high == inf:
            return f"at least {self.low:.15g}"
        return f"from {self.low:.15g} to {self.high:.15g}"

    def allows(self, value: float) -> bool:
        """Whether a number is in the range."""
        return not (value < self.low - _ROUNDING or value > self.high + _ROUNDING)


@dataclass(frozen=True, slots=True)
class Length:
    """Numbers of entries from ``low`` to ``high``."""

    low: int
    high: float = inf

    @property
    def rule(self) -> str:
        """What lists must be."""
        most = "or more" if self.high == inf else f"to {self.high:g}"
        return f"a list of {self.low} {most} entries"

    def allows(self, value: Any) -> bool:
        """Whether a list has so many entries."""
        return self.low <= len(value) <= self.high


PositiveInt = Annotated[int, Range(1)]
NonNegativeInt = Annotated[int, Range(0)]
NonNegativeFloat = Annotated[float, Range(0)]

Share = Annotated[float, Range(0, 1)]
"""A part of 1."""

Channels = Annotated[int, Range(1, 2**24)]
"""Number of channels of a convolution, or of its groups."""

Pixels = Annotated[int, Range(1, 2**20)]
"""A length along a spatial dimension."""

Sizes = Annotated[tuple[Pixels, ...], Length(1, 3)]
"""One length for each spatial dimension."""
