"""``--runtime``: what would not be faster stays dense."""

import pytest

from ghostify import Plan

RUNTIME = ["--runtime", "eager"]


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_every_decision_is_by_time(run, net, tmp_path):
    result = run("plan", *net, *RUNTIME)
    assert result.code == 0, result.err
    plan = Plan.from_json(result.out)
    without = Plan.from_json(run("plan", *net).out)
    others = {d.site.name: d.keep for d in plan.decisions if d.site.name in without.replaced}
    assert all(keep is None or keep.startswith("not faster in eager") for keep in others.values())
    assert (tmp_path / "cache" / "ghostify" / "latencies.json").exists()
    assert run("plan", *net, *RUNTIME).out == result.out  # the times are known now


def test_a_budget_of_time(run, net, fails):
    result = run("plan", *net, *RUNTIME, "--budget", "latency=1")
    assert result.code == 0, result.err
    assert "cannot be met" in fails("plan", *net, *RUNTIME, "--budget", "latency=0.01")


def test_what_cannot_be(fails, run, net):
    assert "unknown runtime 'tensorrt'" in fails("plan", *net, "--runtime", "tensorrt")
    assert "a latency budget needs --runtime" in fails("plan", *net, "--budget", "latency=0.5")
    run("plan", *net, "-o", "plan.json")
    said = fails("convert", *net, "--plan", "plan.json", *RUNTIME, "--dry-run")
    assert "--plan already decides what --runtime would" in said
