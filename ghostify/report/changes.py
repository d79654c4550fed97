"""What changed from the original to the converted network, in words."""

from __future__ import annotations

from typing import NamedTuple

from ghostify.report.metric_texts import METRIC_TEXTS
from ghostify.types.score import LOWER_IS_BETTER

_SAME = 0.005
"""Ratios closer to 1 than this count as the same."""


class Change(NamedTuple):
    """A change in words, and whether the converted network is the worse one."""

    text: str = ""
    worse: bool = False


def cost_change(before: float, after: float, *, less: str = "fewer", more: str = "more") -> Change:
    """Return how a cost changed, such as ``2.00× fewer``; empty if one of them is 0."""
    if not before or not after:
        return Change()
    ratio = after / before
    if abs(ratio - 1) < _SAME:
        return Change("the same")
    worse = ratio > 1
    return Change(f"{_times(ratio if worse else 1 / ratio)} {more if worse else less}", worse)


def latency_change(speedup: float) -> Change:
    """Return how a latency changed: ``1.50× faster``, or ``2.80× slower``."""
    return cost_change(speedup, 1, less="faster", more="slower")


def score_change(metric: str, before: float, after: float) -> Change:
    """Return how a metric changed, such as ``0.3 points lower``."""
    difference = after - before
    is_share = METRIC_TEXTS[metric].is_share
    size = f"{abs(100 * difference):.1f}" if is_share else f"{abs(difference):.3g}"
    if not float(size):
        return Change("the same")
    words = f"{size} points" if is_share else size
    worse = (difference > 0) == (metric in LOWER_IS_BETTER)
    return Change(f"{words} {'higher' if difference > 0 else 'lower'}", worse)


def _times(ratio: float) -> str:
    """Format a factor with three digits."""
    return f"{ratio:.{2 if ratio < 9.995 else 1 if ratio < 99.95 else 0}f}×"
