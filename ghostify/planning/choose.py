"""The best selection within limits: prices by cutting planes, then an integer program by HiGHS."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import groupby
from math import inf

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, linprog, milp
from scipy.sparse import coo_array

from ghostify.planning.forest import Array, Forest, Selection

_HIGHEST_PRICE = 1e6
_CUTS = 50
_CLOSE = 1e-7
_ITEMS = 1000
_GAP = 1e-4
_NODES = 10_000
_SCALE = 1e6
"""Largest number of a row: the solver has absolute tolerances of about 1e-6."""
_NEGLIGIBLE = 1e-100
"""Largest number of a row that is as good as zeros, and cannot be scaled up."""

_Item = tuple[int, ...]
"""Index of a table, label of the parent, label of the node, alternative."""


def choose(forest: Forest, limits: Sequence[float]) -> Selection | None:
    """Choose the selection with the least first cost whose other costs are within the limits.

    Prices of the limited costs give a lower bound. By that, most alternatives cannot be part of a
    better selection than one that is known; an integer program chooses among the others.

    Returns:
        The selection, which is the best one to 0.01 %; None if none is within the limits.
    """
    sums = sum(abs(table.costs).max(axis=(1, 2, 3)) for table in forest.tables)
    scales = 1 / np.where(np.asarray(sums) > 0, sums, 1)
    scaled = replace(
        forest,
        tables=[
            replace(table, costs=table.costs * scales[:, None, None, None])
            for table in forest.tables
        ],
    )
    found = _choose(scaled, np.asarray(limits, float) * scales[1:])
    return found and forest.select(found.labels, found.alternatives)


def _choose(forest: Forest, limits: Array) -> Selection | None:
    free = forest.best([1.0, *np.zeros(len(limits))])
    if (free.costs[1:] <= limits).all():
        return free
    cuts = [free, *(forest.best([0.0, *row]) for row in np.eye(len(limits)))]
    prices, bound = _dual(forest, limits, cuts)
    if bound > sum(table.costs[0].max() for table in forest.tables):
        return None
    within = (cut for cut in cuts if (cut.costs[1:] <= limits).all())
    best = min(within, key=lambda cut: float(cut.costs[0]), default=None)
    excesses = forest.excesses([1.0, *prices])
    ranked = np.sort(np.concatenate([excess.ravel() for excess in excesses]))
    items = _ITEMS
    while True:
        gap = inf if best is None else best.costs[0] - bound + _CLOSE
        most = min(gap, ranked[min(items, len(ranked)) - 1])
        solved = _solve(forest, limits, _items(excesses, most))
        if solved is not None and (best is None or solved.costs[0] < best.costs[0]):
            best = solved
        if best is not None or items >= len(ranked):
            return best
        items *= 4


def _items(excesses: Sequence[Array], most: float) -> list[_Item]:
    return [
        (table, *place)
        for table, excess in enumerate(excesses)
        for place in np.argwhere(excess <= most).tolist()
    ]


def _dual(forest: Forest, limits: Array, cuts: list[Selection]) -> tuple[Array, float]:
    """Return prices of the limited costs, and the highest lower bound that they give.

    The selections that were found on the way are added to ``cuts``.
    """
    best, highest = np.zeros(len(limits)), -inf
    for _ in range(_CUTS):
        program = linprog(
            [-1, *np.zeros(len(limits))],
            A_ub=[[1, *(limits - cut.costs[1:])] for cut in cuts],
            b_ub=[cut.costs[0] for cut in cuts],
            bounds=[(None, None), *[(0, _HIGHEST_PRICE)] * len(limits)],
        )
        upper, prices = program.x[0], program.x[1:]
        cuts.append(forest.best([1.0, *prices]))
        lower = cuts[-1].costs[0] + prices @ (cuts[-1].costs[1:] - limits)
        if lower > highest:
            best, highest = prices, float(lower)
        if upper - highest <= _CLOSE:
            break
    return best, highest


def _solve(forest: Forest, limits: Array, items: Sequence[_Item]) -> Selection | None:
    """Return the best selection that is made of these items; None if none is within the limits."""
    items = _undominated(forest, items)
    matrix, right = _one_each(forest, items)
    costs = np.array([forest.tables[t].costs[:, a, b, c] for t, a, b, c in items]).T
    largest = abs(costs).max(axis=1)
    scales = _SCALE / np.where(largest > _NEGLIGIBLE, largest, 1)
    costs = np.pad(costs * scales[:, None], ((0, 0), (0, matrix.shape[1] - len(items))))
    with _stdout_closed():
        result = milp(
            costs[0],
            integrality=np.arange(costs.shape[1]) < len(items),
            bounds=Bounds(0, 1),
            constraints=[
                LinearConstraint(matrix, right, right),
                LinearConstraint(costs[1:], ub=limits * scales[1:]),
            ],
            options={"mip_rel_gap": _GAP, "node_limit": _NODES},
        )
    if result.x is None:
        return None
    chosen = {items[i][0]: items[i] for i in np.flatnonzero(result.x[: len(items)] > 0.5)}
    labels = [0] * len(forest.parents)
    for table, _, label, _ in chosen.values():
        labels[forest.tables[table].node] = label
    return forest.select(labels, [chosen[table][3] for table in range(len(forest.tables))])


def _one_each(forest: Forest, items: Sequence[_Item]) -> tuple[coo_array, Array]:
    """Return equations: each node has one label, and its tables have one item with that label.

    The first columns are the items, the others are the labels of the nodes.
    """
    tables, parents = forest.tables, forest.parents
    links = [  # of each table: a node that it depends on, and where its items have the label
        [(table.node, 2)] + [(parents[table.node], 1)] * (table.costs.shape[1] > 1)
        for table in tables
    ]
    used = {(node, item[place]) for item in items for node, place in links[item[0]]}
    labels = {label: len(items) + place for place, label in enumerate(sorted(used))}
    rows: dict[tuple[int, ...], int] = {label[:1]: label[0] for label in labels}
    entries = [(1.0, node, column) for (node, _), column in labels.items()]
    for column, item in enumerate(items):
        for _, place in links[item[0]]:
            row = rows.setdefault((item[0], place, item[place]), len(rows))
            entries.append((1.0, row, column))
    for (node, label), column in labels.items():
        for table, linked in enumerate(links):
            for _, place in (link for link in linked if link[0] == node):
                row = rows.setdefault((table, place, label), len(rows))
                entries.append((-1.0, row, column))
    values, at, columns = zip(*entries, strict=True)
    matrix = coo_array((values, (at, columns)), shape=(len(rows), len(items) + len(labels)))
    return matrix, (np.arange(len(rows)) < len(parents)).astype(float)


def _undominated(forest: Forest, items: Sequence[_Item]) -> list[_Item]:
    """Leave out items that cost no less than an earlier one with the same labels, in nothing."""
    kept: list[_Item] = []
    for (table, above, label), group in groupby(items, key=lambda item: item[:3]):
        costs = forest.tables[table].costs[:, above, label]
        best: list[int] = []
        for alternative in (item[3] for item in group):
            mine = costs[:, alternative]
            if not any((costs[:, other] <= mine).all() for other in best):
                best = [b for b in best if not (mine <= costs[:, b]).all()] + [alternative]
        kept += [(table, above, label, alternative) for alternative in best]
    return kept


@contextmanager
def _stdout_closed() -> Iterator[None]:
    """Discard a line that HiGHS 1.12 prints (ERGO-Code/HiGHS issue 2783)."""
    try:
        stdout = os.dup(1)
    except OSError:  # stdout is closed already
        yield
        return
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 1)
        yield
    finally:
        os.dup2(stdout, 1)
        os.close(stdout)
        os.close(null)
