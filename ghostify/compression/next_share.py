"""Which budget to try next."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping
from math import exp, inf, log

SHARES = tuple(float(f"{1.06**-step:.3g}") for step in range(1, 72))
"""Shares of the original's cost to choose from, down to a 64th; each is 6% less than the last."""

_POINTS = 500.0
"""Percentage points that a unit of the loss increase is expected to cost, before any is known."""

_CHANCE = 0.25
"""Drops below this part of the allowed one may be chance."""

_LARGEST = 1e6
"""Points that count of a drop that is not finite."""

_POWERS = 0.3, 1.5
"""Least and highest power of a drop that the loss increase follows beyond what is known."""

_EDGE = 0.2
"""Part of an interval, at either end, in which no share is tried."""


def next_share(
    drops: Mapping[float, float], max_drop: float, loss: Callable[[float], float]
) -> float | None:
    """Return the next share of the original's cost to try, or None if the search has ended.

    It lies between the smallest share that met the drop and the largest one below that missed it:
    where the drop is expected to be met, if drops follow a power of the predicted loss increase.

    Args:
        drops: measured loss of accuracy by share, in percentage points.
        max_drop: allowed loss of accuracy, above 0.
        loss: returns the predicted loss increase for a share; inf if no plan reaches it.
    """
    good = min((share for share, drop in drops.items() if drop <= max_drop), default=1.0)
    met = sorted(share for share in drops if share >= good)
    missed = sorted((share for share in drops if share < good), reverse=True)
    bad = missed[0] if missed else 0.0
    shares = [share for share in SHARES if bad < share < good]
    if not shares:
        return None
    nearest = [met[0], missed[0]] if met and missed else [*met, *missed][:2]
    known = [
        (loss(share), min(max(drops[share], _CHANCE * max_drop), _LARGEST)) for share in nearest
    ]
    edge = round(_EDGE * len(shares)) if met and missed else 0
    place = bisect_right(shares, _expected_loss(known, max_drop), key=loss) - 1
    share = shares[min(max(place, edge), len(shares) - 1 - edge)]
    return None if loss(share) == inf else share


def _expected_loss(known: list[tuple[float, float]], max_drop: float) -> float:
    """Return the loss increase at which to expect a drop, from up to two of both."""
    if not known:
        return max_drop / _POINTS
    (loss, drop), (other, others) = known[0], known[-1]
    power = 1.0
    if loss != other and drop != others and loss and other:
        power = log(loss / other) / log(drop / others)
    if not drop <= max_drop < others:
        power = min(max(power, _POWERS[0]), _POWERS[1])
    return loss * exp(power * log(max_drop / drop))
