import math

import pytest

from ghostify.training.clock import Budget
from ghostify.training.probe import choose_lr

LONG = Budget(steps=10_000, seconds=None)


def losses_of(stable, tries, steps_done=None):
    """An attempt whose loss is twice that of the start up to a rate, and above it more."""

    def attempt(rate, steps, seconds):
        if not steps:
            return 0.5, 0
        tries.append((rate, steps, seconds))
        return (1.0 if rate <= stable else math.nan), steps_done or steps

    return attempt


@pytest.mark.parametrize(
    ("stable", "tried", "chosen"),
    [
        (1, [1e-2], 1e-2),
        (3e-3, [1e-2, 3e-3], 3e-3),
        (3e-4, [1e-2, 3e-3, 1e-3, 3e-4], 3e-4),
        (0, [1e-2, 3e-3, 1e-3, 3e-4, 1e-4], 1e-4),
    ],
)
def test_the_highest_stable_rate_is_chosen(stable, tried, chosen):
    tries = []
    lr, record = choose_lr("adamw", LONG, losses_of(stable, tries))
    assert lr == chosen
    assert [rate for rate, _, _ in tries] == tried
    assert [entry["lr"] for entry in record] == [0.0, *tried]
    assert record[0]["loss"] == 0.5


def test_the_probe_takes_a_fifth_of_a_short_training_at_most():
    for steps, each in [(10_000, 24), (280, 11), (80, 4)]:
        tries = []
        choose_lr("sgd", Budget(steps, None), losses_of(1e-9, tries))
        assert {done for _, done, _ in tries} == {each}
        assert sum(done for _, done, _ in tries) <= steps / 5


def test_the_highest_rate_is_for_long_trainings():
    for steps, first in [(200, 1e-1), (199, 3e-2)]:
        tries = []
        assert choose_lr("sgd", Budget(steps, None), losses_of(1, tries))[0] == first


@pytest.mark.parametrize(("steps_done", "chosen"), [(8, 1e-2), (7, 3e-3)])
def test_the_highest_rate_is_for_trainings_with_time_for_200_steps(steps_done, chosen):
    """A rate has a twenty-fifth of the time."""
    tries = []
    budget = Budget(None, seconds=100)
    assert choose_lr("adamw", budget, losses_of(1, tries, steps_done))[0] == chosen
    assert tries[0] == (1e-2, 24, pytest.approx(4))


def test_too_short_a_training_takes_a_cautious_rate():
    tries = []
    assert choose_lr("adamw", Budget(79, None), losses_of(1, tries)) == (1e-3, ())
    assert not tries


def test_all_rates_take_the_steps_that_the_first_one_had_time_for():
    tries = []
    choose_lr("adamw", Budget(None, 60.0), losses_of(1e-3, tries, steps_done=7))
    assert tries == [(1e-2, 24, pytest.approx(2.4)), (3e-3, 7, math.inf), (1e-3, 7, math.inf)]
