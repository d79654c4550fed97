"""Assignments against brute force."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ghostify.conversion.init import assignment as assignment_module
from ghostify.conversion.init.assignment import (
    Assignment,
    _assigned,
    _without_cheapest,
    assign,
    total_error,
)


@st.composite
def problems(draw, largest=12):
    n = draw(st.integers(2, largest))
    intrinsic = draw(st.integers(1, n - 1))
    random = np.random.default_rng(draw(st.integers(0, 10**6)))
    scale = draw(st.sampled_from([1e-8, 1, 1e8]))
    return scale * random.random((n, n)), scale * random.random(n) / 10, intrinsic


def random_choice(random, n, intrinsic):
    order = random.permutation(n)
    return Assignment(order[:intrinsic], order[intrinsic:])


@given(problems())
def test_each_output_is_intrinsic_or_a_ghost(problem):
    cost, own, intrinsic = problem
    assignment = assign(cost, own, intrinsic)
    n = len(own)
    assert len(assignment.intrinsic) == intrinsic
    assert sorted(assignment.order) == list(range(n))
    made = np.concatenate([assignment.intrinsic, assignment.ghosts])
    assert list(made[assignment.order]) == list(range(n))


@given(problems())
def test_intrinsic_outputs_have_equally_many_ghosts_up_to_one(problem):
    cost, own, intrinsic = problem
    assignment = assign(cost, own, intrinsic)
    made = [int((assignment.sources == i).sum()) for i in assignment.intrinsic]
    assert max(made) - min(made) <= 1
    assert made == sorted(made, reverse=True)


@settings(max_examples=60)
@given(problems(largest=7))
def test_the_assignment_is_optimal_for_given_intrinsic_outputs(problem):
    cost, own, intrinsic = problem
    centers, ghosts = np.arange(intrinsic), range(intrinsic, len(own))
    best = min(
        total_error(cost, own, Assignment(np.array(c), np.array(g)))
        for c in permutations(centers)
        for g in permutations(ghosts)
    )
    assert total_error(cost, own, _assigned(cost, centers)) == pytest.approx(best)


@pytest.mark.parametrize("intrinsic", [1, 25, 60, 80])
def test_many_ghosts_are_assigned_at_nearly_the_least_total(intrinsic, monkeypatch):
    random = np.random.default_rng(0)
    places = random.random((200, 4))
    cost, own = ((places[:, None] - places) ** 2).sum(2), np.zeros(200)
    centers = np.arange(intrinsic)
    least = total_error(cost, own, _assigned(cost, centers))
    monkeypatch.setattr(assignment_module, "_MAX_EXACT", 40)
    found = _assigned(cost, centers)
    assert sorted(found.order) == list(range(200))
    made = np.bincount(found.sources)
    assert made.max() - made.min() <= 1
    assert least <= total_error(cost, own, found) < 1.03 * least


@pytest.mark.parametrize("seed", range(5))
def test_capacities_where_one_source_is_best_for_all(seed):
    """It is the source of two of four ghosts: the second block has one place."""
    random = np.random.default_rng(seed)
    cost, own = random.random((7, 7)) + 1, np.zeros(7)
    cost[0] = 0
    best = min(
        total_error(cost, own, Assignment(np.array(c), np.array(g)))
        for c in permutations(range(3))
        for g in permutations(range(3, 7))
    )
    assert total_error(cost, own, _assigned(cost, np.arange(3))) == pytest.approx(best)


@settings(max_examples=50)
@given(problems())
def test_better_than_random_choices(problem):
    cost, own, intrinsic = problem
    random = np.random.default_rng(0)
    chances = [
        total_error(cost, own, random_choice(random, len(own), intrinsic)) for _ in range(100)
    ]
    assert total_error(cost, own, assign(cost, own, intrinsic)) <= np.quantile(chances, 0.3)


@settings(max_examples=50)
@given(problems())
def test_no_ghost_would_serve_better_as_the_source_of_its_siblings(problem):
    cost, own, intrinsic = problem
    assignment = assign(cost, own, intrinsic)
    for c, center in enumerate(assignment.intrinsic):
        members = [center, *assignment.ghosts[c::intrinsic]]
        errors = [own[i] + sum(cost[i, j] for j in members if j != i) for i in members]
        assert errors[0] <= min(errors) + 1e-9 * cost.max()


def test_clusters_are_found_in_any_order():
    """Outputs 0 and 4 are ghosts of 3, and 2 and 5 of 1, without error; other pairs cost 1."""
    cost = np.ones((6, 6))
    cost[3, [0, 4]] = cost[1, [2, 5]] = 0
    assignment = assign(cost, np.zeros(6), 2)
    assert set(assignment.intrinsic) == {1, 3}
    assert total_error(cost, np.zeros(6), assignment) == 0


def test_errors_of_intrinsic_outputs_count():
    """Each is a ghost of the other at 1; output 0 has an error of 5 as an intrinsic one."""
    assignment = assign(np.ones((2, 2)), np.array([5.0, 0.0]), 1)
    assert list(assignment.intrinsic) == [1]


def test_equal_outputs():
    assignment = assign(np.zeros((7, 7)), np.zeros(7), 3)
    assert sorted(assignment.order) == list(range(7))


@given(problems())
def test_surplus_centers_are_removed_as_if_searched_for_each_time(problem):
    extra, _, intrinsic = problem
    np.fill_diagonal(extra, np.inf)
    centers = np.arange(len(extra))
    while len(centers) > intrinsic:
        centers = np.delete(centers, extra[np.ix_(centers, centers)].min(0).argmin())
    found = _without_cheapest(extra, np.arange(len(extra)), len(extra) - intrinsic)
    assert list(found) == list(centers)
