from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ghostify import GhostSpec
from ghostify.planning.knapsack import Option, choose

SPECS = [None, *(GhostSpec(ratio) for ratio in (1.5, 2, 4))]


def knapsacks(limits):
    costs = st.tuples(*[st.integers(0, 10**9) | st.integers(0, 20)] * limits)
    options = st.builds(Option, st.sampled_from(SPECS), st.floats(-1, 10), costs)
    sites = st.lists(st.lists(options, min_size=1, max_size=4), min_size=1, max_size=5)
    shares = st.lists(st.floats(0, 1), min_size=limits, max_size=limits)
    return st.tuples(sites, shares)


def total(selection, place):
    return sum(option.costs[place] for option in selection)


def loss_increase(selection):
    return sum(option.loss_increase for option in selection)


def between(sites, place, share):
    """A limit between the least and the greatest cost, a little below the former at times."""
    least = sum(min(option.costs[place] for option in options) for options in sites)
    greatest = sum(max(option.costs[place] for option in options) for options in sites)
    return int(least + share * (greatest - least)) - (share < 0.05)


@pytest.mark.parametrize("budgets", [1, 2])
def test_the_optimum_is_that_of_trying_everything(budgets):
    @settings(max_examples=150)
    @given(knapsacks(budgets))
    def check(knapsack):
        sites, shares = knapsack
        limits = [between(sites, place, share) for place, share in enumerate(shares)]

        def within(selection):
            return all(total(selection, place) <= limit for place, limit in enumerate(limits))

        best = min(map(loss_increase, filter(within, product(*sites))), default=None)
        chosen = choose(sites, limits)
        if chosen is None:
            assert best is None
        else:
            assert within(chosen)
            assert all(option in options for option, options in zip(chosen, sites, strict=True))
            assert loss_increase(chosen) == pytest.approx(best, abs=1e-6)

    check()


def test_at_a_tie_a_site_stays_dense_if_the_ghost_module_costs_more():
    dense, ghost = Option(None, 0.0, (10, 10)), Option(GhostSpec(), 0.0, (11, 11))
    assert choose([[dense, ghost]], [100, 100]) == [dense]
    assert choose([[ghost, dense]], [100, 100]) == [dense]


def test_the_first_of_equal_options_is_kept():
    once, twice = Option(GhostSpec(3), 1.0, (5,)), Option(GhostSpec(4), 1.0, (5,))
    assert choose([[once, twice]], [5]) == [once]


def test_no_sites_no_choices():
    assert choose([], [1]) == []


def test_costs_and_loss_increases_of_0():
    idle = Option(None, 0.0, (0,))
    assert choose([[idle]], [0]) == [idle]


def test_the_solver_prints_nothing(capfd):
    def options(site):
        work, weight = 12345 * 4 ** (site % 4) * (1 + site % 5), 1 + site % 2
        ghosts = [
            Option(GhostSpec(s), weight * (1 - 1 / s) ** 2, (work // s + 99,))
            for s in (1.25, 1.5, 2, 3, 4)
        ]
        return [Option(None, 0.0, (work,)), *ghosts]

    sites = [options(site) for site in range(15)]  # HiGHS 1.12 does, on this one
    assert choose(sites, [0.6 * sum(site[0].costs[0] for site in sites)])
    assert capfd.readouterr() == ("", "")
