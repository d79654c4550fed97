"""What a convolution becomes."""

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import ceil, inf

from ghostify.types.errors import GhostifyError


@dataclass(frozen=True)
class GhostSpec:
    """The two numbers of a Ghost module (GhostNet, CVPR 2020, arXiv 1911.11907, section 3.1).

    Defaults and range checks of both live here alone.

    Args:
        ratio: s, the outputs made for each intrinsic map; any number above 1.
        dw_size: d, the side of the cheap operation's kernel; odd.

    Raises:
        GhostifyError: if a number is out of range.
    """

    ratio: float = 2
    dw_size: int = 3

    def __post_init__(self) -> None:
        if not _is_number(self.ratio) or not 1 < self.ratio < inf:
            raise GhostifyError(f"ratio (={self.ratio!r}) must be a finite number above 1")
        if not isinstance(self.dw_size, int) or isinstance(self.dw_size, bool):
            raise GhostifyError(f"dw_size (={self.dw_size!r}) must be a whole number")
        if self.dw_size < 1 or self.dw_size % 2 == 0:
            raise GhostifyError(
                f"dw_size (={self.dw_size}), the kernel of the cheap operation, must be odd and "
                "positive"
            )

    def intrinsic(self, out_channels: int) -> int:
        """How many of n ``out_channels`` the primary convolution makes: m = ceil(n / s)."""
        return _ceil_of_quotient(out_channels, float(self.ratio))

    def __str__(self) -> str:
        return f"s={self.ratio:g}, d={self.dw_size}"


@lru_cache
def _ceil_of_quotient(number: int, divisor: float) -> int:
    """Exact for the divisor as written: 57 / 1.14 is 50, and not 50.00000000000001."""
    return ceil(number / Fraction(repr(divisor)))


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
