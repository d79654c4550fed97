"""Which budget to try next."""

from __future__ import annotations

from collections.abc import Iterable
from math import sqrt

_FINEST = 1.06
"""Ratio of two budgets between which none is tried."""

_LOWEST = 1 / 64
"""Share of the cost below which no budget is tried."""


def next_share(met: Iterable[float], missed: Iterable[float], step: float) -> float | None:
    """Return the next share of the original's cost to try, or None if the search has ended.

    As long as no smaller share has missed the target, the smallest share that met it (or 1) is
    multiplied by ``step``. Then the interval down to the largest share that missed it is bisected,
    on a logarithmic scale.

    Args:
        met: shares with which the network is accurate enough.
        missed: shares with which it is not, or that no plan reaches.
        step: factor, above 0 and below 1.
    """
    good = min(met, default=1.0)
    bad = max((share for share in missed if share < good), default=None)
    if bad is None:
        return good * step if good * step >= _LOWEST else None
    return sqrt(good * bad) if good / bad > _FINEST else None
