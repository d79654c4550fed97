"""The order in which budgets are tried."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ghostify.compression.next_share import SHARES, next_share


def predicted(share):
    return (1 / share - 1) / 100


def search(drop, max_drop=1.0, loss=predicted):
    """Return what is tried if the drop is a function of the share."""
    tried = {}
    while (share := next_share(tried, max_drop, loss)) is not None:
        assert share not in tried
        tried[share] = drop(share)
    return tried


def best_of(drop, max_drop=1.0):
    return min((share for share in SHARES if drop(share) <= max_drop), default=None)


@given(st.floats(0.02, 50), st.floats(0.3, 3))
def test_the_search_finds_the_smallest_share_that_meets_the_drop(factor, power):
    def drop(share):
        return factor * (100 * predicted(share)) ** power

    tried = search(drop)
    assert min((s for s, d in tried.items() if d <= 1), default=None) == best_of(drop)
    assert len(tried) <= 12


@given(st.floats(1 / 64, 0.94))
def test_it_ends_soon_where_drops_follow_no_prediction(threshold):
    """Bisection of 71 shares takes six or seven."""
    tried = search(lambda share: 0.0 if share >= threshold else 100.0)
    assert min((s for s in tried if s >= threshold), default=None) == min(
        (s for s in SHARES if s >= threshold), default=None
    )
    assert len(tried) <= 20


@pytest.mark.parametrize("points", [250, 500, 1000])
def test_a_prediction_that_is_about_right_takes_few_tries(points):
    assert len(search(lambda share: points * predicted(share))) <= 4


def test_the_first_share_follows_from_the_prediction():
    assert next_share({}, 1.0, lambda share: 0.0) == SHARES[-1]
    assert next_share({}, 1.0, lambda share: 1.0) == SHARES[0]
    assert next_share({}, 1.0, lambda share: 1 - share) == SHARES[0]
    assert next_share({}, 250.0, lambda share: 1 - share) == pytest.approx(0.5, rel=0.06)


def test_a_share_that_missed_above_one_that_met_does_not_matter():
    assert next_share({0.5: 0.9, 0.7: 1.1}, 1.0, predicted) == next_share(
        {0.5: 0.9}, 1.0, predicted
    )


@pytest.mark.parametrize("lost", [inf, 1e9])
def test_a_drop_that_is_not_finite_is_a_large_one(lost):
    assert next_share({0.5: lost}, 1.0, predicted) == SHARES[0]
    assert 0.5 < next_share({0.5: lost, 0.943: 0.5}, 1.0, predicted) < 0.943


def test_shares_that_no_plan_reaches_are_not_tried():
    def loss(share):
        return predicted(share) if share >= 0.4 else inf

    tried = search(lambda share: 0.0, loss=loss)
    assert min(tried) == min(share for share in SHARES if share >= 0.4)


def test_nothing_is_tried_next_to_the_ends_of_an_interval():
    one, other = SHARES[0], SHARES[40]
    beside_one = next_share({one: 1.0, other: 99.0}, 1.0, predicted)
    beside_other = next_share({one: 0.25, other: 1.0001}, 1.0, predicted)
    assert (SHARES.index(beside_one), SHARES.index(beside_other)) == (9, 31)


def test_a_drop_by_chance_is_no_step_to_the_strongest():
    assert next_share({0.5: -3.0}, 1.0, predicted) == next_share({0.5: 0.25}, 1.0, predicted) > 0.1
