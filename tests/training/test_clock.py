import signal
from types import SimpleNamespace

import pytest
import torch

from ghostify.training import clock as module
from ghostify.training.clock import Budget, Clock, lr_at, phase_at
from ghostify.types import RecoverySettings


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
    assert not clock.tick()
    now[0] = 109.0
    clock.restart()
    now[0] = 109.5
    clock.interrupted = True
    assert clock.tick()
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
    assert clock.tick()
    assert clock.seconds == 7


def test_the_probe_of_learning_rates_shortens_the_time_that_is_left():
    assert Budget(steps=None, seconds=60).spent(5, 25, probe_seconds=10) == 0.5
    assert Budget(steps=10, seconds=None).spent(5, 25, probe_seconds=10) == 0.5
    assert Budget(steps=None, seconds=60).spent(1, 0, probe_seconds=70) == 0


def test_the_layerwise_phase_is_first_and_each_phase_has_its_own_share():
    settings = RecoverySettings(layerwise_fraction=0.4)
    assert phase_at(0.1, settings) == ("layer-wise", 0.25)
    assert phase_at(0.4, settings) == ("end-to-end", 0)
    assert phase_at(0.7, settings) == ("end-to-end", pytest.approx(0.5))
    assert phase_at(0.5, RecoverySettings(layerwise_fraction=1)) == ("layer-wise", 0.5)


def test_linear_warmup_then_cosine_decay():
    found = [lr_at(share, 8.0, 0.2) for share in (0, 0.1, 0.2, 0.6, 1)]
    assert found == pytest.approx([0, 4, 8, 4, 0])
    assert lr_at(0, 8.0, 0.0) == 8


def test_a_signal_is_noticed_and_a_second_one_raises():
    clock, before = Clock(SimpleNamespace(num_processes=1)), signal.getsignal(signal.SIGINT)
    with clock.catching_signals():
        signal.raise_signal(signal.SIGTERM)
        assert clock.tick()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
