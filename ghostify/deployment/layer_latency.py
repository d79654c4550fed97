"""Latency of each convolution in a runtime, and of the Ghost modules that may replace it."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from platformdirs import user_cache_path
from torch import Tensor, nn

from ghostify.analysis import analyze
from ghostify.analysis.arguments import check_model
from ghostify.analysis.dataflow import trace_dataflow
from ghostify.analysis.dry_run import materialize
from ghostify.deployment.benchmark import benchmark
from ghostify.deployment.tensors import batch_size
from ghostify.io.atomic import write_text
from ghostify.io.progress import progress_bar
from ghostify.nn import GhostModule
from ghostify.planning import CANDIDATES
from ghostify.report.timing import Timing
from ghostify.types import Example, Geometry, GhostSpec, LayerLatencies
from ghostify.types.progress import ShowProgress

_SECONDS = 0.2
"""Time per module of a site; at least 5 rounds."""


def layer_latency(
    model: nn.Module,
    example: Example,
    *,
    runtime: str,
    threads: int = 1,
    candidates: Iterable[GhostSpec] | None = None,
    cache: Path | None = None,
    progress: ShowProgress = True,
) -> LayerLatencies:
    """Time each convolution alone, as it is and as each candidate.

    A convolution is timed on its own input size, followed by what usually follows it: a BatchNorm,
    a ReLU and a 1x1 convolution back to its input channels, whose own time is subtracted. Layers of
    the same sizes are timed once; times are cached per runtime version and CPU model.

    Args:
        model: the original network.
        example: an input, as in `analyze`, of the batch size that the network is deployed for.
        runtime: name of a runtime, as in `benchmark`.
        threads: number of threads of the runtime.
        candidates: Ghost modules to time at each site. Default: those of a budget.
        cache: file with earlier times. Default: one in the user's cache folder.
        progress: whether to show a progress bar, or a function that is called with each `Progress`.

    Raises:
        GhostifyError: as `analyze` and `benchmark` do.
    """
    check_model(model)
    model = materialize(model, example)
    sites = [site for site in analyze(model, example) if site.ineligible is None]
    calls = trace_dataflow(model, example).steps
    known = _Cache(cache or user_cache_path("ghostify") / "latencies.json")
    where = f"{runtime} {_version(runtime)}, {threads} threads, {processor()}"
    candidates = CANDIDATES if candidates is None else tuple(candidates)
    run = partial(benchmark, runtime=runtime, threads=threads, progress=False)
    found: dict[str, dict[GhostSpec | None, float]] = {}
    with progress_bar("timing", progress) as report:
        for number, site in enumerate(sites, 1):
            shape = calls[site.name][0].inputs[0].shape
            outputs = site.geometry.out_channels
            possible = [g for g in candidates if g.intrinsic(outputs) < outputs]
            layer = f"{where}, {site.geometry!r}, input {shape}, read by 1x1"
            keys = {ghost: f"{layer}, {ghost}" for ghost in (None, *possible)}
            if not set(keys.values()) <= set(known):
                times = _time(site.geometry, shape, possible, run)
                known.add({keys[ghost]: ms for ghost, ms in times.items()})
            found[site.name] = {ghost: site.calls * known[key] for ghost, key in keys.items()}
            report(number, len(sites) + 1, site.name)
        whole = run({"network": model}, example, batch=batch_size(example) or 1, seconds=1)
        report(len(sites) + 1, len(sites) + 1, "whole network")
    total = 1000 * whole.measurements[0].seconds.median
    return LayerLatencies(runtime, threads, total, found)


def processor() -> str:
    """Return the CPU model, such as ``Intel(R) Xeon(R) Processor``."""
    with suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(": ")[1] for line in lines if line.startswith("model name"))
    return platform.processor() or platform.machine()


def _time(
    geometry: Geometry,
    shape: tuple[int, ...],
    candidates: Iterable[GhostSpec],
    run: Callable[..., Timing],
) -> dict[GhostSpec | None, float]:
    """Return milliseconds of one call, from the median speed-up over the convolution."""
    arguments: dict[str, Any] = asdict(geometry)
    del arguments["groups"]
    modules: dict[GhostSpec | None, nn.Module] = {None: nn.Conv2d(**arguments)}
    for ghost in candidates:
        modules[ghost] = GhostModule(**arguments, ratio=ghost.ratio, dw_size=ghost.dw_size)
    channels = geometry.out_channels
    reader = nn.Conv2d(channels, geometry.in_channels, 1)

    def milliseconds(models: Mapping[str, nn.Module], example: Tensor) -> list[float]:
        timing = run(models, example, batch=shape[0], seconds=_SECONDS * len(models))
        found = timing.measurements
        return [1000 * found[0].seconds.median / m.speedup.median for m in found]

    surrounded = {
        str(ghost): nn.Sequential(module, nn.BatchNorm2d(channels), nn.ReLU(), reader).eval()
        for ghost, module in modules.items()
    }
    together = milliseconds(surrounded, torch.randn(shape))
    reader_shape = modules[None](torch.zeros(shape)).shape
    (alone,) = milliseconds({"reader": reader}, torch.randn(reader_shape))
    return {ghost: ms - alone for ghost, ms in zip(modules, together, strict=True)}


def _version(runtime: str) -> str:
    try:
        return version({"eager": "torch", "compile": "torch"}.get(runtime, runtime))
    except PackageNotFoundError:
        return "unknown"  # not installed: benchmark raises


class _Cache(dict[str, float]):
    """Milliseconds for each key, in a file."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        with suppress(OSError, ValueError):  # missing or damaged: start with an empty cache
            self.update(json.loads(path.read_text(encoding="utf-8")))

    def add(self, found: dict[str, float]) -> None:
        self.update(found)
        with suppress(OSError):  # not writable
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_text(self.path, json.dumps(self, indent=0))
