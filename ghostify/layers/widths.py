"""Numbers of channels that hardware likes."""

from __future__ import annotations

from math import isfinite

from ghostify.spec import GhostifyError


def check_width(width: float) -> None:
    """See that the channels of a network can be multiplied by ``width``.

    Raises:
        GhostifyError: if it is no finite number above 0.
    """
    if not isinstance(width, int | float) or not (isfinite(width) and width > 0):
        raise GhostifyError(f"width (={width}) must be a number above 0")


def make_divisible(channels: float, divisor: int = 4) -> int:
    """The multiple of ``divisor`` next to ``channels``, at least one, and not below nine tenths.

    The rule of the MobileNets' authors, by which the GhostNets scale their widths.
    """
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded if rounded >= 0.9 * channels else rounded + divisor
