"""Which maps stay intrinsic, and which of them each ghost is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_ROUNDS = 20
_WORTHWHILE = 1e-3
"""Of the sum of errors: what a round must gain for another one to be tried."""

_NEIGHBOURS = 48


@dataclass(frozen=True)
class Choice:
    """A division of n output maps, by index into them.

    Attributes:
        intrinsic: ``(m,)``.
        ghosts: ``(n - m,)``; ghost ``j`` is made of intrinsic map ``j % m``, as `CheapOperation`
            makes it.
    """

    intrinsic: Array
    ghosts: Array

    @property
    def sources(self) -> Array:
        """``(n - m,)``: the intrinsic map that each ghost is made of."""
        return np.resize(self.intrinsic, len(self.ghosts))

    @property
    def order(self) -> Array:
        """``(n,)``: where in intrinsic maps and ghosts, one after the other, output j stands."""
        return np.argsort(np.concatenate([self.intrinsic, self.ghosts]))


def total_error(cost: Array, own: Array, choice: Choice) -> float:
    """The sum of errors of all maps under a choice."""
    return float(cost[choice.sources, choice.ghosts].sum() + own[choice.intrinsic].sum())


def choose(cost: Array, own: Array, intrinsic: int) -> Choice:
    """Divide maps into intrinsic ones and ghosts so that the sum of errors is small.

    Starts from a greedy merging of the cheapest pairs; then in turns matches ghosts to intrinsic
    maps optimally (the Hungarian method, with as many places as the blocks of a cheap operation
    have) and makes that member of each cluster intrinsic which serves the others best.

    Args:
        cost: ``(n, n)``, the error of map j as a ghost of map i.
        own: ``(n,)``, the error of map j as an intrinsic map.
        intrinsic: m, at least n / 2 or not; any number below n.
    """
    extra = np.asarray(cost, float) - np.asarray(own, float)[None]
    np.fill_diagonal(extra, np.inf)
    best, gain = _matched(extra, _greedy_centres(extra, intrinsic)), np.inf
    least = extra[best.sources, best.ghosts].sum()
    for _ in range(_ROUNDS):
        if gain <= _WORTHWHILE * abs(least):
            break
        choice = _matched(extra, _recentred(extra, best))
        total = extra[choice.sources, choice.ghosts].sum()
        gain = least - total
        if gain > 0:
            best, least = choice, total
    return best


def _greedy_centres(extra: Array, intrinsic: int) -> Array:
    n = len(extra)
    wanted = n - intrinsic
    places = -(-wanted // intrinsic)
    near = min(_NEIGHBOURS, n - 1)
    sources = np.argpartition(extra, near - 1, axis=0)[:near]
    targets = np.broadcast_to(np.arange(n), sources.shape)
    cheapest = np.argsort(extra[sources, targets], axis=None, kind="stable")
    made, is_ghost = np.zeros(n, int), np.zeros(n, bool)
    for i, j in zip(sources.flat[cheapest], targets.flat[cheapest], strict=True):
        if wanted == 0:
            break
        if not is_ghost[i] and not is_ghost[j] and not made[j] and made[i] < places:
            is_ghost[j] = True
            made[i] += 1
            wanted -= 1
    centres = np.flatnonzero(~is_ghost)
    while len(centres) > intrinsic:
        cheapest_source = extra[np.ix_(centres, centres)].min(0)
        centres = np.delete(centres, cheapest_source.argmin())
    return centres


def _matched(extra: Array, centres: Array) -> Choice:
    """The best way to make all other maps of ``centres``."""
    from scipy.optimize import linear_sum_assignment  # here, as it takes a while to load

    m, ghosts = len(centres), np.setdiff1d(np.arange(len(extra)), centres)
    blocks = -(-len(ghosts) // m)
    between = extra[np.ix_(centres, ghosts)]
    places = np.tile(between, (blocks, 1))
    # All blocks but the last are full: a bonus that no sum of errors outweighs sees to it.
    places[: (blocks - 1) * m] -= (np.ptp(between) + 1e-300) * (len(ghosts) + 1)
    place, ghost = linear_sum_assignment(places)
    made: list[list[int]] = [[] for _ in centres]
    for p, g in zip(place, ghost, strict=True):
        made[p % m].append(ghosts[g])
    by_number = sorted(range(m), key=lambda c: -len(made[c]))
    in_blocks = [made[c][b] for b in range(blocks) for c in by_number if b < len(made[c])]
    return Choice(centres[by_number], np.array(in_blocks))


def _recentred(extra: Array, choice: Choice) -> Array:
    m = len(choice.intrinsic)
    centres = []
    for c, centre in enumerate(choice.intrinsic):
        members = np.array([centre, *choice.ghosts[c::m]])
        among = extra[np.ix_(members, members)].copy()
        np.fill_diagonal(among, 0)
        centres.append(members[among.sum(1).argmin()])
    return np.array(centres)
