"""Turns and statistics on a clock of our own; real runtimes for the plumbing only."""

import itertools
from contextlib import contextmanager

import pytest
import torch

import ghostify
from ghostify import GhostifyError
from ghostify.deployment import RUNTIMES, Runtime
from ghostify.deployment.benchmark import (
    MIN_ROUNDS,
    WARM_UP,
    Runs,
    peak_memory,
    reset_peak,
    summarize,
    take_turns,
)
from ghostify.deployment.environment import runtime_version
from ghostify.nn import GhostModuleV3
from ghostify.report.timing import Spread, Timing


class Clock:
    """Shows what it was last set to."""

    now = 0.0

    def __call__(self):
        return self.now

    def run(self, name, seconds, log):
        """Something that takes so long, and writes down that it ran."""

        def go():
            log.append(name)
            self.now += seconds
            return seconds

        return go


def test_turns_alternate():
    clock, log = Clock(), []
    runs = [clock.run("A", 1, log), clock.run("B", 2, log)]
    taken = take_turns(runs, rounds=3, seconds=0, clock=clock)
    assert log == ["A", "B"] * 3
    assert taken == [(1, 2)] * 3


def test_rounds_begin_within_the_budget():
    clock = Clock()
    taken = take_turns([clock.run("A", 1, []), clock.run("B", 2, [])],
                       rounds=None, seconds=30, clock=clock)  # fmt: skip
    assert len(taken) == 10
    taken = take_turns([clock.run("A", 1, [])], rounds=None, seconds=30.5, clock=clock)
    assert len(taken) == 31


def test_a_small_budget_has_the_least_rounds():
    clock = Clock()
    assert len(take_turns([clock.run("A", 9, [])], rounds=None, seconds=1, clock=clock)) == 5
    assert MIN_ROUNDS == 5


def test_given_rounds_overrule_the_budget():
    clock = Clock()
    assert len(take_turns([clock.run("A", 1, [])], rounds=2, seconds=99, clock=clock)) == 2


def test_the_speed_up_is_taken_round_by_round():
    """The machine slows down by 10 in the middle: medians would divide to 4, and rounds say 2."""
    runs = {"original": Runs([2, 4, 20, 40, 40], 7), "ghost": Runs([1, 2, 10, 10, 20], None)}
    original, ghost = summarize("eager", 1, 2, runs, "Some CPU")
    assert ghost.speedup == Spread(2, 2, 2)
    assert original.speedup == Spread(1, 1, 1)
    assert original.seconds == Spread(20, 4, 40)
    assert (ghost.rounds, ghost.batch, ghost.threads) == (5, 1, 2)
    assert (original.memory, ghost.memory) == (7, None)
    assert (ghost.version, ghost.device) == (runtime_version("eager"), "Some CPU")


@pytest.fixture
def calls(monkeypatch):
    """A runtime ``fake`` that writes down what is done with it."""
    log = []

    @contextmanager
    def prepare(model, example):
        size = model.out_features
        log.append(("prepare", size, len(example)))

        @contextmanager
        def opened(threads):
            log.append(("open", size, threads))
            yield lambda tensors: log.append(("run", size, len(tensors[0])))
            log.append(("close", size, threads))

        yield opened
        log.append(("leave", size))

    monkeypatch.setitem(RUNTIMES, "fake", Runtime(prepare))
    return log


def test_sessions_of_all_networks_are_open_at_once(calls):
    models = {"a": torch.nn.Linear(3, 8), "b": torch.nn.Linear(3, 4)}
    timing = ghostify.benchmark(models, torch.ones(1, 3), runtime=["fake"], batch=[2],
                                threads=[3], rounds=2)  # fmt: skip
    warm = 1 + WARM_UP
    assert calls == [
        ("prepare", 8, 2), ("prepare", 4, 2),
        ("open", 8, 1), ("run", 8, 2), ("close", 8, 1),
        ("open", 8, 3), *[("run", 8, 2)] * warm, ("open", 4, 3), *[("run", 4, 2)] * warm,
        ("run", 8, 2), ("run", 4, 2), ("run", 8, 2), ("run", 4, 2),
        ("close", 4, 3), ("close", 8, 3), ("leave", 4), ("leave", 8),
    ]  # fmt: skip
    assert timing.macs == {"a": 24, "b": 12}
    assert [(m.model, m.rounds) for m in timing.measurements] == [("a", 2), ("b", 2)]


def test_precisions_of_one_library_are_interleaved(monkeypatch):
    log = []

    def runtime(name, library):
        @contextmanager
        def prepare(model, example):
            @contextmanager
            def opened(threads):
                yield lambda tensors: log.append(name)

            yield opened

        monkeypatch.setitem(RUNTIMES, name, Runtime(prepare, library=library))

    for name, library in {"a": "a", "b": "", "a-int8": "a"}.items():
        runtime(name, library)
    timing = ghostify.benchmark({"net": torch.nn.Linear(3, 8)}, torch.ones(1, 3),
                                runtime=["a", "b", "a-int8"], rounds=2)  # fmt: skip
    b = log.index("b")
    assert log[b - 4 : b] == ["a", "a-int8"] * 2
    assert "a" not in log[b:]
    assert [m.runtime for m in timing.measurements] == ["a", "a-int8", "b"]
    assert [m.speedup.median for m in timing.measurements] == [1, 1, 1]


def test_all_settings_are_measured_and_told_of(calls):
    said = []
    timing = ghostify.benchmark({"a": torch.nn.Linear(3, 8)}, torch.ones(1, 3),
                                runtime=["fake"], batch=[1, 4], threads=[1, 2], rounds=1,
                                progress=said.append)  # fmt: skip
    settings = [(m.batch, m.threads) for m in timing.measurements]
    assert settings == list(itertools.product([1, 4], [1, 2]))
    assert [step.done for step in said] == [0, 0, 1, 2, 2, 3]
    assert {step.total for step in said} == {4}


def test_an_interruption_closes_everything(monkeypatch, small_net, image):
    opened = []

    @contextmanager
    def prepare(model, example):
        @contextmanager
        def session(threads):
            opened.append(threads)
            try:
                yield interrupted
            finally:
                opened.pop()

        yield session

    def interrupted(tensors):
        raise KeyboardInterrupt

    monkeypatch.setitem(RUNTIMES, "fake", Runtime(prepare))
    with pytest.raises(KeyboardInterrupt):
        ghostify.benchmark({"a": small_net}, image, runtime=["fake"])
    assert opened == []


def test_a_network_that_a_runtime_cannot_take(monkeypatch, small_net, image):
    @contextmanager
    def prepare(model, example):
        raise RuntimeError("no such operator: mish\nand much more")
        yield

    monkeypatch.setitem(RUNTIMES, "fake", Runtime(prepare))
    with pytest.raises(GhostifyError) as raised:
        ghostify.benchmark({"mine": small_net}, image, runtime=["fake"])
    assert str(raised.value) == "mine does not run in fake: no such operator: mish"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"runtime": ["tensorrt"]}, "unknown runtime 'tensorrt': known are eager, compile, onnx"),
        ({"batch": [0]}, r"`batch` \(=\[0\]\) must be numbers from 1"),
        ({"threads": []}, r"`threads` \(=\[\]\) must be numbers from 1"),
        ({"rounds": -1}, r"`rounds` \(=\(-1,\)\) must be"),
    ],
)
def test_what_can_be_put_right(small_net, image, changes, message):
    with pytest.raises(GhostifyError, match=message):
        ghostify.benchmark({"a": small_net}, image, **changes)


def test_examples_and_networks_that_do_not_fit(small_net, image):
    with pytest.raises(GhostifyError, match="`models` is empty"):
        ghostify.benchmark({}, image)
    with pytest.raises(GhostifyError, match="`example` has no batch dimension"):
        ghostify.benchmark({"a": small_net}, torch.tensor(1.0))
    with pytest.raises(GhostifyError, match="does not run on an input of 3x4x16x16"):
        ghostify.benchmark({"a": small_net}, torch.ones(1, 4, 16, 16), batch=[3])


def test_a_conversion_beside_its_original(small_net, image):
    ghost = ghostify.convert(small_net, image)
    threads = torch.get_num_threads()
    small_net.train()
    timing = ghostify.benchmark(
        {"original": small_net, "ghost": ghost}, image, batch=[1, 3], threads=[2], rounds=2
    )
    assert torch.get_num_threads() == threads
    assert small_net.training
    assert timing.input == "1x3x16x16"
    assert timing.macs_ratio("ghost") > 1.3
    assert [m.batch for m in timing.measurements] == [1, 1, 3, 3]
    assert Timing.from_json(timing.to_json()) == timing


def test_the_macs_are_those_of_what_runs():
    """Branches are one convolution then: 8 x 4 + 9 x 4, at 6 x 6 positions."""
    model = GhostModuleV3(8, 8)
    timing = ghostify.benchmark({"a": model}, torch.randn(1, 8, 6, 6), rounds=1)
    assert timing.macs == {"a": 36 * (32 + 36)}


CPU = torch.device("cpu")


@pytest.mark.skipif(reset_peak(CPU) is None, reason="this system does not tell")
def test_a_peak_is_seen_after_it_has_passed_and_only_once():
    before = reset_peak(CPU)
    torch.ones(25_000_000)  # 100 MB, given back at once
    assert peak_memory(CPU) - before > 90_000_000
    reset_peak(CPU)
    assert peak_memory(CPU) - before < 50_000_000
