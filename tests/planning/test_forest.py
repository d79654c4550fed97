from itertools import product

import numpy as np
import pytest

from ghostify.planning.forest import Forest, Table


def random_forest(seed):
    """A chain, a branch and a root of its own; the second node has two tables."""
    rng = np.random.default_rng(seed)
    sizes = [(1, 3, 2), (3, 2, 2), (1, 2, 3), (3, 2, 1), (2, 3, 2), (1, 1, 4)]
    nodes = [0, 1, 1, 2, 3, 4]
    tables = [Table(n, rng.uniform(-1, 1, (3, *s))) for n, s in zip(nodes, sizes, strict=True)]
    return Forest([-1, 0, 0, 1, -1], tables)


def selections(forest):
    for labels in product(range(3), range(2), range(2), range(3), range(1)):
        for alternatives in product(*(range(table.costs.shape[3]) for table in forest.tables)):
            yield forest.select(labels, alternatives)


@pytest.mark.parametrize("seed", range(5))
def test_the_best_selection_and_the_best_with_each_alternative(seed):
    forest, prices = random_forest(seed), [1.0, 0.3, 2.0]
    best = forest.best(prices)
    lowest: dict = {}
    for selection in selections(forest):
        total = selection.costs @ prices
        for place, (table, alternative) in enumerate(
            zip(forest.tables, selection.alternatives, strict=True)
        ):
            above = table.costs.shape[1] > 1 and selection.labels[forest.parents[table.node]]
            key = (place, int(above), selection.labels[table.node], alternative)
            lowest[key] = min(lowest.get(key, np.inf), total)
    least = min(lowest.values())
    assert best.costs @ prices == pytest.approx(least)
    for place, excess in enumerate(forest.excesses(prices)):
        for where, value in np.ndenumerate(excess):
            assert value == pytest.approx(lowest[place, *where] - least, abs=1e-12)


def test_at_a_tie_the_first_label_and_the_first_alternative():
    forest = Forest([-1], [Table(0, np.ones((2, 1, 3, 2)))])
    best = forest.best([1.0, 0.1])
    assert (best.labels, best.alternatives) == ((0,), (0,))
