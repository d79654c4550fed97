"""Hyper-parameters of a Ghost module."""

from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from math import ceil, isfinite

from ghostify.types.errors import GhostifyError


@dataclass(frozen=True)
class GhostSpec:
    """Ratio and kernel size of a Ghost module (GhostNet, arXiv 1911.11907, section 3.1).

    Args:
        ratio: ghost ratio s: about s times fewer MACs in each replaced layer; above 1.
        dw_size: kernel size d of the cheap operation; odd, up to 99.

    Raises:
        GhostifyError: if a number is out of its range.
    """

    ratio: float = 2
    dw_size: int = 3

    def __post_init__(self) -> None:
        if not is_finite(self.ratio) or self.ratio <= 1:
            raise GhostifyError(f"`ratio` (={self.ratio!r}) must be a finite number above 1")
        size = self.dw_size
        if not isinstance(size, int) or isinstance(size, bool) or size not in range(1, 100, 2):
            raise GhostifyError(f"`dw_size` (={size!r}) must be odd, from 1 to 99")

    def intrinsic(self, out_channels: int) -> int:
        """Return the number of intrinsic feature maps, m = ceil(out_channels / s)."""
        return _ceil_of_quotient(out_channels, float(self.ratio))

    def __str__(self) -> str:
        return f"s={self.ratio:g}, d={self.dw_size}"


@cache
def _ceil_of_quotient(number: int, divisor: float) -> int:
    """Exact for the divisor as written: 57 / 1.14 is 50, not 50.00000000000001."""
    return ceil(number / Fraction(repr(divisor)))


def is_finite(value: object) -> bool:
    """Whether ``value`` is a finite number, and not a bool."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    try:
        return isfinite(value)
    except OverflowError:  # an integer beyond floats
        return False
