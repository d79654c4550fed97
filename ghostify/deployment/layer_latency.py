"""How long a network's convolutions take in a runtime, beside the Ghost modules they may become."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from platformdirs import user_cache_path
from torch import Tensor, nn

from ghostify.analysis import analyze
from ghostify.analysis.arguments import check_model
from ghostify.analysis.dry_run import dry_run, materialize
from ghostify.analysis.forward_observer import ForwardObserver
from ghostify.deployment.benchmark import benchmark
from ghostify.io.atomic import write_text
from ghostify.io.progress import progress_bar
from ghostify.nn import GhostModule
from ghostify.planning import CANDIDATES
from ghostify.types import Example, Geometry, GhostSpec, LayerLatencies
from ghostify.types.progress import ShowProgress

_SECONDS = 0.2
"""For each site, and 5 rounds at least."""

_PACKAGES = {"eager": "torch", "compile": "torch"}


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
    """Time each site by itself, as it is and as each candidate, in turns.

    A convolution is timed at its own sizes as part of what it mostly stands in: a batch norm and a
    ReLU behind it, and a 1x1 convolution back to as many maps as it reads, whose own time is
    subtracted. Layers of the same sizes are timed once, and never again in the same version of a
    runtime on the same kind of processor.

    Args:
        model: the original.
        example: an input, as in `analyze`, of the batch that the network is for.
        runtime: a name of `runtimes.RUNTIMES`.
        threads: of the runtime.
        candidates: Ghost modules to time at each site; by default those a budget chooses among.
        cache: a file for what has been timed; by default in the user's folder for such files.
        progress: whether to show a bar, or a function that is called with each `Progress`.

    Raises:
        GhostifyError: as `analyze` and `benchmark` do.
    """
    check_model(model)
    model = materialize(model, example)
    sites = [site for site in analyze(model, example) if site.ineligible is None]
    inputs = dry_run(model, example, observer=_Inputs).observer.shapes
    known = _Cache(cache or user_cache_path("ghostify") / "latencies.json")
    where = f"{runtime} {_version(runtime)}, {threads} threads, {processor()}"
    candidates = CANDIDATES if candidates is None else tuple(candidates)
    found: dict[str, dict[GhostSpec | None, float]] = {}
    with progress_bar("timing", progress) as report:
        for number, site in enumerate(sites, 1):
            shape = inputs[site.name]
            possible = [g for g in candidates if _leaves_ghosts(g, site.geometry)]
            keys: dict[GhostSpec | None, str] = {
                ghost: f"{where}, {site.geometry!r}, input {shape}, read by 1x1, {ghost}"
                for ghost in (None, *possible)
            }
            if not set(keys.values()) <= set(known):
                taken = _time(site.geometry, shape, possible, runtime, threads)
                known.add({keys[ghost]: ms for ghost, ms in taken.items()})
            found[site.name] = {ghost: site.calls * known[key] for ghost, key in keys.items()}
            report(number, len(sites) + 1, site.name)
        whole = benchmark(
            {"network": model},
            example,
            runtimes=[runtime],
            threads=[threads],
            seconds=1,
            progress=False,
        )
        report(len(sites) + 1, len(sites) + 1, "the whole network")
    total = 1000 * whole.measurements[0].seconds.median
    return LayerLatencies(runtime, threads, total, found)


def processor() -> str:
    """What kind of processor this is, such as ``Intel(R) Xeon(R) Processor``."""
    with suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(": ")[1] for line in lines if line.startswith("model name"))
    return platform.processor() or platform.machine()


def _time(
    geometry: Geometry,
    shape: tuple[int, ...],
    candidates: Iterable[GhostSpec],
    runtime: str,
    threads: int,
) -> dict[GhostSpec | None, float]:
    """Milliseconds of one call, by the median ratio to the convolution as it is."""
    numbers = _arguments(geometry)
    modules: dict[GhostSpec | None, nn.Module] = {None: nn.Conv2d(**numbers)}
    for ghost in candidates:
        modules[ghost] = GhostModule(**numbers, ratio=ghost.ratio, dw_size=ghost.dw_size)
    maps = geometry.out_channels
    reader = nn.Conv2d(maps, geometry.in_channels, 1)

    def timed(models: Mapping[str, nn.Module], example: Tensor) -> list[float]:
        found = benchmark(
            models,
            example,
            runtimes=[runtime],
            batches=[shape[0]],
            threads=[threads],
            seconds=_SECONDS * len(models),
        ).measurements
        return [1000 * found[0].seconds.median / m.speedup.median for m in found]

    surrounded = {
        str(ghost): nn.Sequential(module, nn.BatchNorm2d(maps), nn.ReLU(), reader).eval()
        for ghost, module in modules.items()
    }
    together = timed(surrounded, torch.randn(shape))
    size = modules[None](torch.zeros(shape)).shape
    (alone,) = timed({"reader": reader}, torch.randn(size))
    return {ghost: ms - alone for ghost, ms in zip(modules, together, strict=True)}


def _arguments(geometry: Geometry) -> dict[str, Any]:
    return {
        name: getattr(geometry, name)
        for name in (
            "in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "bias",
            "padding_mode",
        )
    }  # fmt: skip


def _leaves_ghosts(ghost: GhostSpec, geometry: Geometry) -> bool:
    return ghost.intrinsic(geometry.out_channels) < geometry.out_channels


def _version(runtime: str) -> str:
    try:
        return version(_PACKAGES.get(runtime, runtime))
    except PackageNotFoundError:
        return "unknown"  # and not there: the benchmark says so


class _Inputs(ForwardObserver):
    """Sees what sizes convolutions work on.

    Attributes:
        shapes: of the input of each one's first call, by its name.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model)
        self.shapes: dict[str, tuple[int, ...]] = {}

    def after_forward(self, module: nn.Module, inputs: tuple[Any, ...], result: Any) -> None:
        name = self.names.get(module)
        if name and inputs and isinstance(inputs[0], Tensor):
            self.shapes.setdefault(name, tuple(inputs[0].shape))


class _Cache(dict[str, float]):
    """Milliseconds by what was timed, in a file."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        with suppress(OSError, ValueError):  # missing or damaged: start with an empty cache
            self.update(json.loads(path.read_text(encoding="utf-8")))

    def add(self, found: dict[str, float]) -> None:
        self.update(found)
        with suppress(OSError):  # without the file all is timed again next time
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_text(self.path, json.dumps(self, indent=0))
