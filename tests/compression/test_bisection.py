"""The order in which budgets are tried."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ghostify.compression.bisection import next_share


def search(threshold, step, unmet=0.0):
    """Return the shares that are tried if those from ``threshold`` on meet the target."""
    tried = []
    while True:
        met = [share for share in tried if share >= threshold]
        missed = [share for share in tried if share < threshold or share < unmet]
        share = next_share([s for s in met if s not in missed], missed, step)
        if share is None:
            return tried
        tried.append(share)
        assert len(tried) < 40


@pytest.mark.parametrize("step", [0.5, 0.7])
@given(st.floats(0.02, 0.94))
def test_the_search_ends_within_6_percent_of_the_threshold(step, threshold):
    tried = search(threshold, step)
    best = min((share for share in tried if share >= threshold), default=1.0)
    assert threshold <= best <= threshold * 1.061


def test_it_begins_mild_and_gets_stronger_while_all_is_well():
    assert next_share([], [], 0.5) == 0.5
    assert next_share([0.5], [], 0.5) == 0.25
    assert next_share([0.5], [0.25], 0.5) == pytest.approx(math.sqrt(0.125))


def test_a_share_that_missed_above_one_that_met_does_not_matter():
    assert next_share([0.5], [0.7], 0.5) == 0.25


def test_nothing_is_tried_below_a_64th():
    assert next_share([0.02], [], 0.5) is None


def test_nothing_is_tried_where_the_answer_is_known_well_enough():
    assert next_share([0.5], [0.48], 0.5) is None
