from types import SimpleNamespace

import pytest
import torch

from ghostify.training import clock as module
from ghostify.training.clock import Budget, Clock


def test_a_budget_is_spent_by_what_ends_first():
    both = Budget(steps=100, seconds=60)
    assert both.spent(25, 30) == 0.5
    assert both.spent(75, 30) == 0.75
    assert both.spent(10, 90) == 1
    assert Budget(steps=None, seconds=60).spent(1e9, 15) == 0.25


@pytest.fixture
def now(monkeypatch):
    """Return a list whose only number is the time."""
    time = [100.0]
    monkeypatch.setattr(module.time, "perf_counter", lambda: time[0])
    return time


def test_time_between_a_tick_and_a_restart_does_not_count(now):
    clock = Clock(SimpleNamespace(num_processes=1))
    now[0] = 102.0
    assert not clock.tick(False)
    now[0] = 109.0
    clock.restart()
    now[0] = 109.5
    assert clock.tick(True)
    assert clock.seconds == 2.5


def test_processes_share_the_time_of_the_main_one_and_an_interruption_of_any(now):
    def reduce(totals, how):
        assert how == "sum"
        return totals + torch.tensor([7.0, 1.0], dtype=torch.float64)

    other = SimpleNamespace(
        num_processes=2, is_main_process=False, device=torch.device("cpu"), reduce=reduce
    )
    clock = Clock(other)
    now[0] = 103.0
    assert clock.tick(False)
    assert clock.seconds == 7
