import signal
from threading import Thread
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


SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_noticed_and_a_later_one_raises(now, number):
    clock, before = Clock(SimpleNamespace(num_processes=1)), list(map(signal.getsignal, SIGNALS))
    with clock.catching_signals():
        assert not clock.tick()
        signal.raise_signal(number)
        assert clock.tick()
        now[0] += 0.9  # passed on by a launcher
        signal.raise_signal(number)
        signal.raise_signal(signal.SIGTERM)
        now[0] += 0.1
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert list(map(signal.getsignal, SIGNALS)) == before


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT])
def test_signals_that_are_ignored_stay_so(number):
    before = signal.signal(number, signal.SIG_IGN)
    try:
        clock = Clock(SimpleNamespace(num_processes=1))
        with clock.catching_signals():
            signal.raise_signal(number)
            assert not clock.tick()
        assert signal.getsignal(number) == signal.SIG_IGN
    finally:
        signal.signal(number, before)


def test_other_threads_hear_no_signals():
    clock, before = Clock(SimpleNamespace(num_processes=1)), signal.getsignal(signal.SIGINT)
    found = []

    def train():
        with clock.catching_signals():
            found.append(signal.getsignal(signal.SIGINT))

    thread = Thread(target=train)
    thread.start()
    thread.join()
    assert found == [before]
