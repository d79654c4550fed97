"""``--runtime``: what would not be faster stays dense. Times are made up, the same everywhere."""

import pytest
from torch import nn

from ghostify import GhostModule, Plan
from ghostify.deployment import layer_latency
from ghostify.deployment.benchmark import Runs, summarize
from ghostify.report.timing import Timing

RUNTIME = ["--runtime", "eager"]


def seconds(model):
    """2 ms for a convolution; for a Ghost module 1 ms at 16 input channels, and 3 ms elsewhere."""
    ghosts = [m for m in model.modules() if isinstance(m, GhostModule)]
    inside = {id(m) for ghost in ghosts for m in ghost.modules()}
    convs = [m for m in model.modules() if isinstance(m, nn.Conv2d) and id(m) not in inside]
    return 1e-3 * (2 * len(convs) + sum(1 if m.in_channels == 16 else 3 for m in ghosts))


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def timed(monkeypatch):
    """What was timed, and on how many threads."""
    calls = []

    def benchmark(models, example, *, runtime, batch, threads, **_):
        calls.append((runtime, threads))
        runs = {name: Runs([seconds(model)], None) for name, model in models.items()}
        measurements = tuple(summarize(runtime, batch, threads, runs))
        return Timing("1x3x16x16", dict.fromkeys(models, 1), "bytes", measurements)

    monkeypatch.setattr(layer_latency, "benchmark", benchmark)
    return calls


def test_every_decision_is_by_time(run, net, timed):
    result = run("plan", *net, *RUNTIME, "--threads", "2")
    assert result.code == 0, result.err
    plan = Plan.from_json(result.out)
    assert [*Plan.from_json(run("plan", *net).out).replaced] == ["2", "5"]
    assert [*plan.replaced] == ["5"]
    reasons = {d.site.name: d.keep for d in plan.decisions}
    assert reasons["2"] == "not faster in eager: 2 ms, as a Ghost module 3 ms"
    assert {*timed} == {("eager", 2)}


def test_times_are_remembered(run, net, tmp_path, timed):
    result = run("plan", *net, *RUNTIME)
    assert (tmp_path / "cache" / "ghostify" / "latencies.json").exists()
    before = len(timed)
    assert run("plan", *net, *RUNTIME).out == result.out
    assert len(timed) == before + 1  # the whole network
    run("plan", *net, *RUNTIME, "--threads", "2")
    assert len(timed) > before + 2


def test_a_budget_of_time(run, net, fails, timed):
    result = run("plan", *net, *RUNTIME, "--budget", "latency=0.9")
    assert result.code == 0, result.err
    assert [*Plan.from_json(result.out).replaced] == ["5"]  # 7 of 8 ms
    assert "latency in eager, predicted 8 ms 7 ms" in " ".join(result.err.split())
    assert "cannot be met" in fails("plan", *net, *RUNTIME, "--budget", "latency=0.8")


def test_convert_by_time(run, net, timed):
    result = run("convert", *net, *RUNTIME, "-o", "out")
    assert result.code == 0, result.err
    assert "not faster in eager: 2 ms" in " ".join(result.out.split())


def test_what_cannot_be(fails, run, net):
    assert "unknown runtime 'tensorrt'" in fails("plan", *net, "--runtime", "tensorrt")
    assert "a latency budget needs --runtime" in fails("plan", *net, "--budget", "latency=0.5")
    run("plan", *net, "-o", "plan.json")
    said = fails("convert", *net, "--plan", "plan.json", *RUNTIME, "--dry-run")
    assert "--plan already decides what --runtime would" in said
