"""Choices that depend on each other along the branches of trees, and the cheapest of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Costs of the alternatives of one layer, for each label of a node and of its parent.

    Attributes:
        node: index of the node.
        costs: array (cost, label of the parent, label of the node, alternative). The second
            dimension is 1 if the label of the parent does not matter.
    """

    node: int
    costs: Array


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """One label for each node, one alternative for each table, and their costs."""

    labels: tuple[int, ...]
    alternatives: tuple[int, ...]
    costs: Array


@dataclass(frozen=True, slots=True)
class Forest:
    """Nodes with labels, and the tables that these are chosen by.

    Attributes:
        parents: index of the parent of each node, which comes before it; -1 for a root.
        tables: at least one for each node. One table of a node with a parent depends on both.
    """

    parents: Sequence[int]
    tables: Sequence[Table]

    def select(self, labels: Sequence[int], alternatives: Sequence[int]) -> Selection:
        """Return a selection with its costs."""
        costs = sum(
            table.costs[:, *self._place(table, labels), alternative]
            for table, alternative in zip(self.tables, alternatives, strict=True)
        )
        return Selection(tuple(labels), tuple(alternatives), np.asarray(costs))

    def best(self, prices: Sequence[float]) -> Selection:
        """Return the selection with the least sum of prices times costs.

        At a tie, it has the first label and the first alternative.
        """
        priced = [_priced(table, prices) for table in self.tables]
        labels: list[int] = []
        for parent, whole in zip(self.parents, self._with_branches(priced), strict=True):
            labels.append(int(whole[labels[parent] if parent >= 0 else 0].argmin()))
        places = (self._place(table, labels) for table in self.tables)
        chosen = [int(p[place].argmin()) for p, place in zip(priced, places, strict=True)]
        return self.select(labels, chosen)

    def excesses(self, prices: Sequence[float]) -> list[Array]:
        """Return how much more than the best one the best selection with each alternative costs.

        Returns:
            One array for each table: (label of the parent, label of the node, alternative).
        """
        priced = [_priced(table, prices) for table in self.tables]
        trees: list[Array] = []  # the node's tree at its best, by labels of parent and node
        for parent, whole in zip(self.parents, self._with_branches(priced), strict=True):
            if parent < 0:
                trees.append(whole - whole.min())
            else:
                rest = trees[parent].min(axis=0) - whole.min(axis=1)
                trees.append(rest[:, None] + whole)
        found = []
        for table, prices_ in zip(self.tables, priced, strict=True):
            tree = trees[table.node]
            if len(prices_) < len(tree):
                tree = tree.min(axis=0, keepdims=True)
            found.append((tree - prices_.min(axis=2))[:, :, None] + prices_)
        return found

    def _with_branches(self, priced: Sequence[Array]) -> list[Array]:
        """Return the price of each node and all below it, by labels of its parent and its own."""
        own: list[Array] = [np.zeros((1, 1))] * len(self.parents)
        for table, prices in zip(self.tables, priced, strict=True):
            own[table.node] = own[table.node] + prices.min(axis=2)
        for node in reversed(range(len(own))):
            if (parent := self.parents[node]) >= 0:
                own[parent] = own[parent] + own[node].min(axis=1)
        return own

    def _place(self, table: Table, labels: Sequence[int]) -> tuple[int, int]:
        above = labels[self.parents[table.node]] if table.costs.shape[1] > 1 else 0
        return above, labels[table.node]


def _priced(table: Table, prices: Sequence[float]) -> Array:
    """Multiply and add element by element, so that equal alternatives have equal prices."""
    total: Array = sum(price * cost for price, cost in zip(prices, table.costs, strict=True))
    return total
