from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ghostify.planning import choose as choosing
from ghostify.planning.choose import choose
from ghostify.planning.forest import Forest, Table


@st.composite
def forests(draw, limits):
    """Up to four nodes with one to three labels, and one or two tables each."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    labels = draw(st.lists(st.integers(1, 3), min_size=1, max_size=4))
    parents = [draw(st.integers(-1, node - 1)) for node in range(len(labels))]
    highest = draw(st.sampled_from([20, 10**9]))
    tables = []
    for node, parent in enumerate(parents):
        for paired in [parent >= 0] + [False] * draw(st.integers(0, 1)):
            size = (labels[parent] if paired else 1, labels[node], draw(st.integers(1, 3)))
            loss = rng.uniform(-1, 10, (1, *size))
            limited = rng.integers(highest, size=(limits, *size))
            tables.append(Table(node, np.concatenate([loss, limited])))
    return Forest(parents, tables)


def all_costs(forest):
    labels = [0] * len(forest.parents)
    for table in forest.tables:
        labels[table.node] = table.costs.shape[2]
    alternatives = [range(table.costs.shape[3]) for table in forest.tables]
    found = [
        forest.select(chosen, alternative).costs
        for chosen in product(*map(range, labels))
        for alternative in product(*alternatives)
    ]
    return np.array(found)


@pytest.mark.parametrize("most", [1000, 4])
@pytest.mark.parametrize("limits", [1, 2])
def test_the_optimum_is_that_of_trying_everything(limits, most, monkeypatch):
    """With few items at a time a plan is found all the same, if there is one."""
    monkeypatch.setattr(choosing, "_ITEMS", most)

    @settings(max_examples=60)
    @given(forests(limits), st.lists(st.floats(0, 1), min_size=limits, max_size=limits))
    def check(forest, shares):
        every = all_costs(forest)
        least, greatest = every.min(axis=0)[1:], every.max(axis=0)[1:]
        bounds = np.floor(least + shares * (greatest - least)) - (np.array(shares) < 0.05)
        within = every[(every[:, 1:] <= bounds).all(axis=1)]
        chosen = choose(forest, bounds)
        if chosen is None:
            assert not len(within)
        else:
            assert (chosen.costs[1:] <= bounds).all()
            best = within[:, 0].min()
            if most == 1000:
                assert best <= chosen.costs[0] <= best + 2e-4 * abs(best) + 1e-5

    check()


def one_node(*options):
    return Forest([-1], [Table(0, np.array(options, float).T[:, None, None])])


def test_at_a_tie_the_first_stays_if_the_other_costs_more():
    assert choose(one_node((0, 10), (0, 11)), [100]).alternatives == (0,)
    assert choose(one_node((0, 11), (0, 10)), [10]).alternatives == (1,)


def test_the_first_of_equal_alternatives_is_chosen():
    assert choose(one_node((0, 9), (1, 5), (1, 5)), [5]).alternatives == (1,)


def test_costs_and_loss_increases_of_0():
    assert choose(one_node((0, 0)), [0]).alternatives == (0,)


def test_loss_increases_as_good_as_0():
    tables = [Table(0, np.array([(0, 9), (1e-310, 5)], float).T[:, None, None])] * 3
    tables.append(Table(0, np.array([(0, 9), (1, 5)], float).T[:, None, None]))
    found = choose(Forest([-1] * 4, tables), [24.5])
    assert found.alternatives == (1, 1, 1, 0)


def test_limits_that_exclude_each_other():
    assert choose(one_node((0, 9, 1), (0, 1, 9)), [5, 5]) is None


def test_the_solver_prints_nothing(capfd):
    def options(site):
        work, weight = 12345 * 4 ** (site % 4) * (1 + site % 5), 1 + site % 2
        ghosts = [(weight * (1 - 1 / s) ** 2, work // s + 99) for s in (1.25, 1.5, 2, 3, 4)]
        return np.array([(0, work), *ghosts]).T[:, None, None]

    tables = [Table(site, options(site)) for site in range(15)]  # HiGHS 1.12 does, on this one
    forest = Forest([-1] * 15, tables)
    assert choose(forest, [0.6 * sum(table.costs[1, 0, 0, 0] for table in tables)])
    assert capfd.readouterr() == ("", "")
