"""Choose the intrinsic filters, and assign each ghost to one of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[Any]

_MAX_ROUNDS = 20
_MIN_GAIN = 1e-3
"""Relative decrease of the total error by better sources below which the alternation stops."""

_NEIGHBORS = 48

_MAX_EXACT = 512
"""Ghosts that are assigned at the least cost; of more, those that other centers suit as well."""

_PRICE_ROUNDS = 20


@dataclass(frozen=True)
class Assignment:
    """Division of n outputs into intrinsic ones and ghosts, by index.

    Attributes:
        intrinsic: ``(m,)``.
        ghosts: ``(n - m,)``. The source of ghost ``j`` is intrinsic output ``j % m``, as in
            `CheapOperation`.
    """

    intrinsic: Array
    ghosts: Array

    @property
    def sources(self) -> Array:
        """``(n - m,)``: the intrinsic output that each ghost is made of."""
        return np.resize(self.intrinsic, len(self.ghosts))

    @property
    def order(self) -> Array:
        """``(n,)``: position of output j in the concatenation of intrinsic outputs and ghosts."""
        return np.argsort(np.concatenate([self.intrinsic, self.ghosts]))


def weighted(cost: Tensor, intrinsic_error: Tensor, importance: Tensor) -> tuple[Array, Array]:
    """Both errors times the importance ``(n,)`` of the outputs, in float64."""
    errors = (error * importance.to(error) for error in (cost, intrinsic_error))
    weighted_cost, weighted_error = (error.double().cpu().numpy() for error in errors)
    return weighted_cost, weighted_error


def total_error(cost: Array, intrinsic_error: Array, assignment: Assignment) -> float:
    """Return the sum of errors of all outputs."""
    ghosts = cost[assignment.sources, assignment.ghosts].sum()
    return float(ghosts + intrinsic_error[assignment.intrinsic].sum())


def assign(cost: Array, intrinsic_error: Array, intrinsic: int) -> Assignment:
    """Choose intrinsic outputs and assign ghosts to them so that the total error is small.

    The start is a greedy merging of the cheapest pairs. Then two steps alternate: assign ghosts
    (Hungarian method, with the capacities of a cheap operation), and make that member of each
    cluster intrinsic which serves the others best.

    Args:
        cost: ``(n, n)``, error of output j as a ghost of output i.
        intrinsic_error: ``(n,)``, error of output j as an intrinsic one.
        intrinsic: m.
    """
    return next(assignments(cost, intrinsic_error, [intrinsic]))


def assignments(
    cost: Array, intrinsic_error: Array, numbers: Iterable[int]
) -> Iterator[Assignment]:
    """Yield what `assign` returns for each number of intrinsic outputs."""
    extra = np.asarray(cost, float) - np.asarray(intrinsic_error, float)[None]
    np.fill_diagonal(extra, np.inf)
    pairs = _cheapest_pairs(extra)
    for intrinsic in numbers:
        centers = _greedy_centers(extra, pairs, intrinsic)
        for _ in range(_MAX_ROUNDS):
            assigned = _assigned(extra, centers)
            best = _recentered(extra, assigned)
            least = _total(extra, best)
            if _total(extra, assigned) - least <= _MIN_GAIN * abs(least):
                break
            centers = best.intrinsic
        yield best


def _total(extra: Array, assignment: Assignment) -> float:
    return float(extra[assignment.sources, assignment.ghosts].sum())


def _cheapest_pairs(extra: Array) -> list[tuple[int, int]]:
    """Pairs of a source and a target, among the best sources of each target, cheapest first."""
    n = len(extra)
    near = min(_NEIGHBORS, n - 1)
    sources = np.argpartition(extra, near - 1, axis=0)[:near]
    targets = np.broadcast_to(np.arange(n), sources.shape)
    cheapest = np.argsort(extra[sources, targets], axis=None, kind="stable")
    return list(zip(sources.flat[cheapest].tolist(), (cheapest % n).tolist(), strict=True))


def _greedy_centers(extra: Array, pairs: list[tuple[int, int]], intrinsic: int) -> Array:
    n = len(extra)
    wanted = n - intrinsic
    capacity = -(-wanted // intrinsic)
    made, is_ghost = [0] * n, [False] * n
    for i, j in pairs:
        if wanted == 0:
            break
        if not is_ghost[i] and not is_ghost[j] and not made[j] and made[i] < capacity:
            is_ghost[j] = True
            made[i] += 1
            wanted -= 1
    centers = np.flatnonzero(~np.array(is_ghost))
    return _without_cheapest(extra, centers, len(centers) - intrinsic)


def _without_cheapest(extra: Array, centers: Array, surplus: int) -> Array:
    """Remove, one by one, the center that is the cheapest ghost of another."""
    among = extra[np.ix_(centers, centers)]
    source, kept = among.argmin(0), np.ones(len(centers), bool)
    least = among[source, np.arange(len(centers))]
    for _ in range(surplus):
        removed = least.argmin()
        kept[removed], least[removed], among[removed] = False, np.inf, np.inf
        orphans = np.flatnonzero(kept & (source == removed))
        source[orphans] = among[:, orphans].argmin(0)
        least[orphans] = among[source[orphans], orphans]
    return centers[kept]


def _assigned(extra: Array, centers: Array) -> Assignment:
    """Assign ghosts to given intrinsic outputs."""
    is_ghost = np.ones(len(extra), bool)
    is_ghost[centers] = False
    ghosts = np.flatnonzero(is_ghost)
    center = _cheapest_centers(extra.T[np.ix_(ghosts, centers)])
    by_number = np.argsort(-np.bincount(center, minlength=len(centers)), kind="stable")
    place, block = np.argsort(by_number)[center], _rank(center, np.arange(len(ghosts)))
    return Assignment(centers[by_number], ghosts[np.lexsort((place, block))])


def _rank(center: Array, order: Array) -> Array:
    """``(g,)``: how many ghosts of the same center are before each one in ``order``."""
    by_center = order[np.argsort(center[order], kind="stable")]
    number = np.bincount(center)
    rank = np.arange(len(center)) - (np.cumsum(number) - number)[center[by_center]]
    return rank[np.argsort(by_center)]


def _cheapest_centers(costs: Array) -> Array:
    """``(g,)``: the center of each ghost at a small total of ``(g, m)`` costs.

    All centers have equally many ghosts, up to one. The total is least, except that most of many
    ghosts take the center that is the cheapest by far once prices have spread the ghosts.
    """
    from scipy.optimize import linear_sum_assignment  # here: it takes a while to load

    ghosts, m = costs.shape
    if ghosts <= m:
        return np.asarray(linear_sum_assignment(costs)[1])
    share, more = divmod(ghosts, m)
    center, is_free = _at_balanced_prices(costs, share)
    kept = np.bincount(center[~is_free], minlength=m)
    # Ghosts as rows: with the places of a center, which all cost the same, as rows it takes 15x
    # as long. Only the last place of a center may be empty, filled by a row that costs nothing.
    last = np.arange(m if more else 0)
    places = np.concatenate([np.repeat(np.arange(m), share - kept), last])
    free = np.flatnonzero(is_free)
    square = np.zeros((len(places), len(places)))
    square[: len(free)] = costs[np.ix_(free, places)]
    square[len(free) :, : len(places) - len(last)] = np.inf
    center[free] = places[linear_sum_assignment(square)[1][: len(free)]]
    return center


def _at_balanced_prices(costs: Array, share: int) -> tuple[Array, Array]:
    """``(g,)`` each: the cheapest center, and whether the ghost is free to take another one.

    Free are those beyond the ``share`` of a center, and those to which another one costs least.
    """
    ghosts, m = costs.shape
    if ghosts <= _MAX_EXACT or m == 1:
        return np.zeros(ghosts, int), np.ones(ghosts, bool)
    best, second = np.partition(costs, 1)[:, :2].T
    step, prices = np.median(second - best), np.zeros(m)
    for done in range(_PRICE_ROUNDS):
        number = np.bincount((costs + prices).argmin(1), minlength=m)
        surplus = number - number.clip(share, -(-ghosts // m))
        prices += step * surplus / (done + 1) ** 0.5
    center = (costs + prices).argmin(1)
    best, second = np.partition(costs + prices, 1)[:, :2].T
    regret = second - best
    is_free = regret <= np.partition(regret, _MAX_EXACT - 1)[_MAX_EXACT - 1]
    return center, is_free | (_rank(center, np.argsort(-regret)) >= share)


def _recentered(extra: Array, assignment: Assignment) -> Assignment:
    """Make that member of each cluster intrinsic which serves the others best."""
    m = len(assignment.intrinsic)
    members = np.concatenate([assignment.intrinsic, assignment.ghosts])
    size, larger = divmod(len(members), m)  # the first clusters have one member more
    for clusters, number in ((np.arange(larger), size + 1), (np.arange(larger, m), size)):
        places = np.add.outer(clusters, m * np.arange(number))
        among = extra[members[places][:, :, None], members[places][:, None]]
        among[:, np.arange(number), np.arange(number)] = 0
        best = places[np.arange(len(places)), among.sum(2).argmin(1)]
        members[places[:, 0]], members[best] = members[best], members[places[:, 0]]
    return Assignment(members[:m], members[m:])
