"""Latency of each convolution in a runtime, and of the Ghost modules that may replace it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from itertools import product
from math import isfinite
from pathlib import Path
from typing import Any

import torch
from platformdirs import user_cache_path
from torch import Tensor, nn

from ghostify.analysis import analyze
from ghostify.analysis.dataflow import trace_dataflow
from ghostify.analysis.dry_run import materialize
from ghostify.deployment.benchmark import benchmark
from ghostify.deployment.environment import processor, runtime_version
from ghostify.deployment.tensors import batch_size
from ghostify.io.atomic import write_text
from ghostify.io.progress import progress_bar
from ghostify.nn import GhostModule
from ghostify.planning import CANDIDATES
from ghostify.report.timing import Timing
from ghostify.types import ConvSite, Example, Geometry, GhostifyError, GhostSpec, LayerLatencies
from ghostify.types.constraints import NonNegativeFloat
from ghostify.types.progress import ShowProgress
from ghostify.types.serialization import decode, parse_json

_SECONDS = 0.2
"""Time per module of a site; at least 5 rounds."""

_PARTS = (1, 2, 4)
"""What channels are divided by where some may be dropped."""


def layer_latency(
    model: nn.Module,
    example: Example,
    *,
    runtime: str,
    threads: int = 1,
    candidates: Iterable[GhostSpec] | None = None,
    prune: bool = False,
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
        runtime: name of a runtime, as in `benchmark`; in INT8 a layer is quantized, with what
            surrounds it.
        threads: number of threads of the runtime.
        candidates: Ghost modules to time at each site. Default: those of a budget.
        prune: whether to time convolutions with half and a quarter of their channels too, for
            budgets that drop some.
        cache: file with earlier times. Default: one in the user's cache folder.
        progress: whether to show a progress bar, or a function that is called with each `Progress`.

    Raises:
        GhostifyError: as `analyze` and `benchmark` do.
    """
    model = materialize(model, example)
    found = analyze(model, example)
    geometries = _narrowed_geometries(found) if prune else {}
    sites = [site for site in found if site.ineligible is None or site.name in geometries]
    calls = trace_dataflow(model, example).steps
    candidates = CANDIDATES if candidates is None else tuple(candidates)
    timer = _Timer(cache or user_cache_path("ghostify") / "latencies.json", runtime, threads)
    milliseconds: dict[str, dict[GhostSpec | None, float]] = {}
    narrowed: dict[str, dict[tuple[int, int], float]] = {}
    with progress_bar("timing", progress) as report:
        for number, site in enumerate(sites, 1):
            shape = calls[site.name][0].inputs[0].shape
            outputs = site.geometry.out_channels
            possible = [g for g in candidates if g.intrinsic(outputs) < outputs]
            ghosts = possible if site.ineligible is None else []
            times = timer.times(site.geometry, shape, ghosts)
            milliseconds[site.name] = {ghost: site.calls * ms for ghost, ms in times.items()}
            for geometry in geometries.get(site.name, ()):
                batch, _, *size = shape
                (ms,) = timer.times(geometry, (batch, geometry.in_channels, *size)).values()
                channels = (geometry.in_channels // geometry.groups, geometry.out_channels)
                narrowed.setdefault(site.name, {})[channels] = site.calls * ms
            report(number, len(sites) + 1, site.name)
        batch = batch_size(example) or 1
        whole = timer.run({"network": model}, example, batch=batch, seconds=1)
        report(len(sites) + 1, len(sites) + 1, "whole network")
    total = 1000 * whole.measurements[0].seconds.median
    return LayerLatencies(runtime, threads, total, milliseconds, narrowed)


def _narrowed_geometries(sites: Sequence[ConvSite]) -> dict[str, list[Geometry]]:
    """Return each convolution that may lose channels, as it is and with fewer of them."""
    inputs: set[str] = set()
    outputs: set[str] = set()
    for site in sites:
        if region := site.region:
            inputs |= {*region.readers}
            outputs |= {site.name, *region.channelwise, *region.gates}
    found = {}
    for site in sites:
        geometry = site.geometry
        read = _fewer(geometry.in_channels) if site.name in inputs else [None]
        made = _fewer(geometry.out_channels) if site.name in outputs else [None]
        pairs = zip(made, made, strict=True) if geometry.depthwise else product(read, made)
        if site.name in inputs | outputs and site.calls:
            found[site.name] = [geometry.narrowed(*channels) for channels in pairs]
    return found


def _fewer(channels: int) -> list[int | None]:
    """Return all channels, a half and a quarter of them."""
    return [*dict.fromkeys(max(channels // part, 1) for part in _PARTS)]


def _time(
    geometry: Geometry,
    shape: tuple[int, ...],
    candidates: Iterable[GhostSpec],
    run: Callable[..., Timing],
) -> dict[GhostSpec | None, float]:
    """Return milliseconds of one call, from the median speed-up over the convolution."""
    arguments: dict[str, Any] = asdict(geometry)
    modules: dict[GhostSpec | None, nn.Module] = {None: nn.Conv2d(**arguments)}
    del arguments["groups"]
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
    return {ghost: max(ms - alone, 0.0) for ghost, ms in zip(modules, together, strict=True)}


class _Timer:
    """Times layers in one runtime, each once."""

    def __init__(self, cache: Path, runtime: str, threads: int) -> None:
        self.known = _Cache(cache)
        self.where = f"{runtime} {runtime_version(runtime)}, {threads} threads, {processor()}"
        self.run = partial(benchmark, runtime=runtime, threads=threads, progress=False)

    def times(
        self, geometry: Geometry, shape: Sequence[int], ghosts: Sequence[GhostSpec] = ()
    ) -> dict[GhostSpec | None, float]:
        """Return milliseconds of one call of a convolution, and of Ghost modules in its place."""
        layer = f"{self.where}, {geometry!r}, input {tuple(shape)}, read by 1x1"
        keys = {ghost: f"{layer}, {ghost}" for ghost in (None, *ghosts)}
        if not set(keys.values()) <= set(self.known):
            times = _time(geometry, tuple(shape), ghosts, self.run)
            self.known.add({keys[ghost]: ms for ghost, ms in times.items()})
        return {ghost: self.known[key] for ghost, key in keys.items()}


class _Cache(dict[str, float]):
    """Milliseconds for each key, in a file."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        with suppress(OSError, GhostifyError):  # missing or damaged: start with an empty cache
            known = decode(dict[str, NonNegativeFloat], parse_json(path.read_bytes()))
            self.update({layer: ms for layer, ms in known.items() if isfinite(ms)})

    def add(self, found: dict[str, float]) -> None:
        self.update(found)
        with suppress(OSError):  # not writable
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_text(self.path, json.dumps(self, indent=0))
