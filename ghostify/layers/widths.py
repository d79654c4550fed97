"""Numbers of channels that hardware likes."""

from __future__ import annotations


def make_divisible(channels: float, divisor: int = 4) -> int:
    """The multiple of ``divisor`` next to ``channels``, at least one, and not below nine tenths.

    The rule of the MobileNets' authors, by which the GhostNets scale their widths.
    """
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded if rounded >= 0.9 * channels else rounded + divisor
