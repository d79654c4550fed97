"""Latencies of single layers; nothing here depends on how fast the machine is."""

import json
from dataclasses import replace
from math import isfinite

import pytest
import torch
from torch import nn

import ghostify
from ghostify import GhostifyError, GhostSpec
from ghostify.deployment.environment import processor
from ghostify.deployment.layer_latency import layer_latency
from ghostify.planning import plan_sites
from ghostify.report.timing import Spread
from ghostify.types import LayerLatencies

HALF = GhostSpec(2, 3)


@pytest.fixture(autouse=True)
def _without_memory(monkeypatch):
    """Collecting garbage before each session would take most of the time."""
    monkeypatch.setattr("ghostify.deployment.benchmark.reset_peak", lambda device: None)


@pytest.fixture
def timed(monkeypatch):
    """Counts what is really timed."""
    calls = []
    real = ghostify.deployment.benchmark.benchmark

    def benchmark(models, example, **options):
        calls.append((list(models), tuple(example.shape)))
        return real(models, example, **options | {"rounds": 1})

    monkeypatch.setattr("ghostify.deployment.layer_latency.benchmark", benchmark)
    return calls


def measure(net, image, cache, **options):
    return layer_latency(
        net, image, runtime="eager", candidates=[HALF], cache=cache / "times.json", **options
    )


def test_every_site_as_it_is_and_as_each_candidate(small_net, image, tmp_path, timed):
    found = measure(small_net, image, tmp_path)
    sites = {s.name: s for s in ghostify.analyze(small_net, image) if s.ineligible is None}
    assert set(found.milliseconds) == set(sites)
    assert all(set(by_ghost) == {None, HALF} for by_ghost in found.milliseconds.values())
    assert all(isfinite(ms) for by_ghost in found.milliseconds.values() for ms in by_ghost.values())
    assert found.total > 0
    models, shape = timed[0]
    assert models == ["None", str(HALF)]
    assert shape[:2] == (1, next(iter(sites.values())).geometry.in_channels)


def test_what_was_timed_is_not_timed_again(small_net, image, tmp_path, timed):
    first = measure(small_net, image, tmp_path)
    number = len(timed)
    second = measure(small_net, image, tmp_path)
    assert second.milliseconds == first.milliseconds
    assert len(timed) == number + 1  # the whole network
    assert timed[-1][0] == ["network"]
    measure(small_net, image, tmp_path, threads=2)
    assert len(timed) > number + 2


def test_noise_makes_no_latency_negative(small_net, image, tmp_path, monkeypatch):
    real = ghostify.deployment.benchmark.benchmark

    def benchmark(models, example, **options):
        timing = real(models, example, **options | {"rounds": 1})
        slow = [replace(m, seconds=Spread(1.0, 1.0, 1.0)) for m in timing.measurements]
        return replace(timing, measurements=tuple(slow)) if "reader" in models else timing

    monkeypatch.setattr("ghostify.deployment.layer_latency.benchmark", benchmark)
    first, second = (measure(small_net, image, tmp_path) for _ in "12")
    assert {ms for layer in first.milliseconds.values() for ms in layer.values()} == {0}
    assert second.milliseconds == first.milliseconds


def test_in_int8(image, tmp_path, timed):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    net, cache = nn.Sequential(nn.Conv2d(3, 4, 1)), tmp_path / "times.json"
    options = {"runtime": "onnxruntime-int8", "candidates": [HALF], "cache": cache}
    found = layer_latency(net, image, **options)
    assert set(found.milliseconds["0"]) == {None, HALF}
    where = f"onnxruntime-int8 {onnxruntime.__version__}, 1 threads"
    assert all(key.startswith(where) for key in json.loads(cache.read_text()))


@pytest.mark.parametrize(
    "text", ["{", "[1]", '{"layer": "fast"}', '{"layer": -1.5}', '{"layer": NaN}', "\0", "[" * 9999]
)
def test_a_damaged_cache_is_made_anew(small_net, image, tmp_path, timed, text):
    (tmp_path / "times.json").write_text(text)
    measure(small_net, image, tmp_path)
    kept = json.loads((tmp_path / "times.json").read_text())
    assert kept
    assert all(processor() in key for key in kept)


def test_layers_of_one_size_are_timed_once(image, tmp_path, timed):
    net = torch.nn.Sequential(*(torch.nn.Conv2d(3, 3, 3, padding=1) for _ in range(4)))
    measure(net, image, tmp_path)
    assert [models for models, _ in timed] == [["None", str(HALF)], ["reader"], ["network"]]


class Separable(nn.Module):
    """A depthwise convolution between two others, and one whose channels are added to others."""

    def __init__(self):
        super().__init__()
        self.expand = nn.Conv2d(3, 8, 1)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.project = nn.Conv2d(8, 3, 1)

    def forward(self, x):
        return x + self.project(self.depthwise(self.expand(x)).relu())


def test_layers_that_may_lose_channels_are_timed_with_fewer(image, tmp_path, timed):
    found = measure(Separable(), image, tmp_path, prune=True)
    assert {name: [*times] for name, times in found.narrowed.items()} == {
        "expand": [(3, 8), (3, 4), (3, 2)],
        "depthwise": [(1, 8), (1, 4), (1, 2)],
        "project": [(8, 3), (4, 3), (2, 3)],
    }
    assert [*found.milliseconds["depthwise"]] == [None]
    assert all(
        times[max(times)] == found.milliseconds[name][None]
        for name, times in found.narrowed.items()
    )
    assert {shape[1] for _, shape in timed} >= {2, 4, 8}
    assert not measure(Separable(), image, tmp_path).narrowed


def test_a_budget_of_time_drops_channels(image):
    sites = ghostify.analyze(Separable(), image)
    grid = {
        "expand": {(3, n): n / 8 for n in (8, 4, 2)},
        "depthwise": {(1, n): n / 8 for n in (8, 4, 2)},
        "project": {(n, 3): n / 8 for n in (8, 4, 2)},
    }
    times = {name: {None: 1.0} for name in grid}
    known = LayerLatencies("eager", 1, 4.0, times, grid)
    rules = {"stem": True, "candidates": (), "latencies": known}
    assert plan_sites(sites, budget="latency=0.65", **rules).widths == {"expand": 4}
    assert plan_sites(sites, budget="latency=0.62", **rules).widths == {"expand": 3}
    with pytest.raises(GhostifyError, match="the lowest possible is 0.344"):
        plan_sites(sites, budget="latency=0.3", **rules)


def latencies(sites, faster):
    times = {
        site.name: {None: 1.0, HALF: 0.5 if site.name in faster else 1.5, GhostSpec(4, 3): 0.4}
        for site in sites
        if site.ineligible is None
    }
    return LayerLatencies("openvino", 1, 10.0, times)


def test_what_is_not_faster_stays(small_net, image):
    sites = ghostify.analyze(small_net, image)
    uniform = plan_sites(sites).replaced
    faster = set(list(uniform)[:1])
    plan = plan_sites(sites, latencies=latencies(sites, faster))
    assert set(plan.replaced) == faster
    reasons = [d.keep for d in plan.decisions if d.site.name in uniform.keys() - faster]
    assert set(reasons) == {"not faster in openvino: 1 ms, as a Ghost module 1.5 ms"}


def test_a_budget_of_time(small_net, image):
    sites = ghostify.analyze(small_net, image)
    known = latencies(sites, ())
    candidates = [HALF, GhostSpec(4, 3)]
    plan = plan_sites(sites, budget="latency=0.95", candidates=candidates, latencies=known)
    assert set(plan.replaced.values()) == {GhostSpec(4, 3)}
    assert len(plan.replaced) == 1  # one of them saves 0.6 of the 0.5 ms
    least = 10 - 0.6 * len(plan_sites(sites).replaced)
    with pytest.raises(GhostifyError, match=rf"cannot be met: the lowest .* \({least:g}\)"):
        plan_sites(sites, budget="latency=0.1", candidates=candidates, latencies=known)


def test_a_budget_of_time_without_times(small_net, image):
    sites = ghostify.analyze(small_net, image)
    with pytest.raises(GhostifyError, match="a latency budget needs `runtime`"):
        plan_sites(sites, budget="latency=0.5")


def test_what_was_not_timed(small_net, image):
    sites = ghostify.analyze(small_net, image)
    with pytest.raises(GhostifyError, match="no latency of s=3, d=3: measure it again"):
        plan_sites(sites, ratio=3, latencies=latencies(sites, ()))


def test_the_whole_network_is_timed_at_the_batch_size_of_the_example(tmp_path, monkeypatch):
    batches = {}

    def benchmark(models, example, **options):
        batches[next(iter(models))] = options["batch"]
        return ghostify.benchmark(models, example, **options | {"rounds": 1})

    monkeypatch.setattr("ghostify.deployment.layer_latency.benchmark", benchmark)
    measure(torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1)), torch.ones(3, 3, 4, 4), tmp_path)
    assert batches["network"] == 3
