"""Latency and memory of several networks, interleaved so that disturbances affect all of them."""

from __future__ import annotations

import ctypes
import gc
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import TypeAlias

import torch
from torch import Tensor, nn

from ghostify.analysis.arguments import check_models
from ghostify.analysis.dry_run import dry_run
from ghostify.analysis.model_copy import copy_model
from ghostify.deployment.environment import processor, runtime_version
from ghostify.deployment.exporters import Session, quiet
from ghostify.deployment.reparameterize import fused_modules
from ghostify.deployment.runtimes import Opener, Runtime, runtime_named
from ghostify.deployment.tensors import batch_size, resize_batch, tensors_of
from ghostify.io.progress import progress_bar
from ghostify.planning.flops import count
from ghostify.report.timing import Measurement, Spread, Timing
from ghostify.types import Example, GhostifyError, describe_example
from ghostify.types.errors import root_cause
from ghostify.types.progress import ShowProgress

MIN_ROUNDS = 5
"""Enough for quartiles."""

WARM_UP = 3
"""Runs before the first round."""


def benchmark(
    models: Mapping[str, nn.Module],
    example: Example,
    *,
    runtime: str | Sequence[str] = "eager",
    batch: int | Sequence[int] = 1,
    threads: int | Sequence[int] = 1,
    rounds: int | None = None,
    seconds: float = 10.0,
    progress: ShowProgress = True,
) -> Timing:
    """Measure the latency of networks, interleaved (A B A B), in evaluation mode.

    Each runtime, batch size and number of threads is one setting. In each, sessions of all networks
    are opened, warmed up and run interleaved, and those in INT8 with those in float32 of the same
    library. Speed-ups are taken round by round.

    Args:
        models: networks by name; the others are compared with the first.
        example: an input as in `analyze`, repeated or cut to each batch size.
        runtime: one or several of ``eager``, ``compile``, ``onnxruntime``, ``openvino``,
            ``executorch``, ``onnxruntime-int8`` and ``openvino-int8``. The last two quantize all
            networks. Ranges are measured on the example alone, since latency does not depend on
            them.
        batch: one or several batch sizes.
        threads: one or several numbers of threads of the runtime.
        rounds: number of rounds. Default: as many as ``seconds`` allow, at least 5.
        seconds: time for the rounds of each setting.
        progress: whether to show a progress bar, or a function that is called with each `Progress`.

    Raises:
        GhostifyError: if a runtime is unknown, not installed or does not support a network; if a
            network does not run at one of the batch sizes; or if a number is below 1.
    """
    check_models(models)
    names = [runtime] if isinstance(runtime, str) else runtime
    sizes = [batch] if isinstance(batch, int) else batch
    numbers = [threads] if isinstance(threads, int) else threads
    _check(models, example, {"batch": sizes, "threads": numbers, "rounds": (rounds or 1,)})
    runtimes = {name: runtime_named(name) for name in names}
    for found in runtimes.values():
        found.check_installed()
    for network, size in product(models.values(), sizes):
        dry_run(network, resize_batch(example, size))
    take = partial(take_turns, rounds=rounds, seconds=seconds)
    libraries: dict[str, dict[str, Runtime]] = defaultdict(dict)
    for name, found in runtimes.items():
        libraries[found.library or name][name] = found
    measurements: list[Measurement] = []
    total, done = len(libraries) * len(sizes) * len(numbers), 0
    with progress_bar("timing", progress) as report:
        for group, size in product(libraries.values(), sizes):
            sized = resize_batch(example, size)
            on_cpu = any(found.on_cpu for found in group.values())
            device = torch.device("cpu") if on_cpu else _device(sized)
            setting = f"{', '.join(group)}, batch {size}"
            report(done, total, f"{setting}: preparing")
            with _prepared(group, models, sized) as openers:
                for number in numbers:
                    report(done, total, f"{setting}, threads {number}")
                    runs = _run_setting(openers, sized, number, device, take)
                    for name in group:
                        own = {model: runs[name, model] for model in models}
                        measurements += summarize(name, size, number, own, processor(device))
                    done += 1
    return Timing(
        input=describe_example(example),
        macs=_macs(models, example),
        memory=_describe_memory(_device(example)),
        measurements=tuple(measurements),
    )


@dataclass(frozen=True)
class Runs:
    """Seconds of each run of one network, and its peak memory in bytes."""

    seconds: list[float]
    memory: int | None


def summarize(
    runtime: str, batch: int, threads: int, runs: Mapping[str, Runs], device: str = ""
) -> Iterator[Measurement]:
    """Return the measurements of one setting; speed-ups are over the first network."""
    first = next(iter(runs.values())).seconds
    for model, run in runs.items():
        yield Measurement(
            model=model,
            runtime=runtime,
            batch=batch,
            threads=threads,
            rounds=len(run.seconds),
            seconds=Spread.of(run.seconds),
            speedup=Spread.of([a / b for a, b in zip(first, run.seconds, strict=True)]),
            memory=run.memory,
            version=runtime_version(runtime),
            device=device,
        )


def take_turns(
    runs: Sequence[Callable[[], float]],
    *,
    rounds: int | None,
    seconds: float,
    clock: Callable[[], float] = time.perf_counter,
) -> list[tuple[float, ...]]:
    """Return what each run returns, round by round.

    Without ``rounds``, all rounds that start within ``seconds`` are run, at least `MIN_ROUNDS`.
    """
    taken: list[tuple[float, ...]] = []
    end = clock() + seconds
    while len(taken) < (rounds or MIN_ROUNDS) or (rounds is None and clock() < end):
        taken.append(tuple(run() for run in runs))
    return taken


Key: TypeAlias = tuple[str, str]
"""Names of a runtime and a network."""


@contextmanager
def _prepared(
    runtimes: Mapping[str, Runtime], models: Mapping[str, nn.Module], example: Example
) -> Iterator[dict[Key, Opener]]:
    """Yield an opener for each network, once the runtimes have run and loaded their libraries."""
    with ExitStack() as stack:
        openers: dict[Key, Opener] = {}
        for (name, runtime), (model, network) in product(runtimes.items(), models.items()):
            with _as_ghostify_error(model, name):
                openers[name, model] = stack.enter_context(runtime.prepare(network, example))
        first = next(iter(models))
        for name in runtimes:
            with _as_ghostify_error(first, name), openers[name, first](1) as session:
                session(tensors_of(example))
        yield openers


def _run_setting(
    openers: Mapping[Key, Opener],
    example: Example,
    threads: int,
    device: torch.device,
    take: Callable[[Sequence[Callable[[], float]]], list[tuple[float, ...]]],
) -> dict[Key, Runs]:
    tensors = tensors_of(example)
    stopwatches, memory = [], {}
    with ExitStack() as stack:
        for key, opened in openers.items():
            runtime, model = key
            with _as_ghostify_error(model, runtime):
                before = reset_peak(device)
                session = stack.enter_context(opened(threads))
                session(tensors)  # the first run may compile or allocate
                reset_peak(device)
                for _ in range(WARM_UP):
                    session(tensors)
                memory[key] = None if before is None else max(peak_memory(device) - before, 0)
            stopwatches.append(partial(_STOPWATCHES[device.type], session, tensors))
        by_key = zip(openers, zip(*take(stopwatches), strict=True), strict=True)
        return {key: Runs(list(own), memory[key]) for key, own in by_key}


def _on_cpu(session: Session, tensors: Sequence[Tensor]) -> float:
    begin = time.perf_counter()
    session(tensors)
    return time.perf_counter() - begin


def _on_cuda(session: Session, tensors: Sequence[Tensor]) -> float:
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    torch.cuda.synchronize()
    begin.record()
    session(tensors)
    end.record()
    end.synchronize()
    return float(begin.elapsed_time(end)) / 1000


_STOPWATCHES = {"cpu": _on_cpu, "cuda": _on_cuda}


@contextmanager
def _as_ghostify_error(model: str, runtime: str) -> Iterator[None]:
    """Silence a runtime, and raise its errors as a one-line `GhostifyError`."""
    try:
        with quiet():
            yield
    except Exception as error:
        raise GhostifyError(f"{model} does not run in {runtime}: {root_cause(error)}") from error


def _check(
    models: Mapping[str, nn.Module], example: Example, settings: Mapping[str, Sequence[int]]
) -> None:
    if not models:
        raise GhostifyError("`models` is empty: give at least one network")
    for name, numbers in settings.items():
        if not numbers or min(numbers) < 1:
            raise GhostifyError(f"`{name}` (={numbers!r}) must be numbers from 1")
    if batch_size(example) is None:
        raise GhostifyError("`example` has no batch dimension")
    if _device(example).type not in _STOPWATCHES:
        raise GhostifyError(f"cannot time on {_device(example)}: move the example to cpu or cuda")


def _device(example: Example) -> torch.device:
    return next(tensor.device for tensor in tensors_of(example) if tensor.dim())


def _macs(models: Mapping[str, nn.Module], example: Example) -> dict[str, int]:
    """Count the MACs of what runs: parallel branches are fused."""
    models = {name: copy_model(model, fused_modules(model)) for name, model in models.items()}
    counts = {name: count(model, example) for name, model in models.items()}
    if len({found.counter for found in counts.values()}) > 1:
        counts = {name: count(m, example, counter="torch") for name, m in models.items()}
    return {name: found.conv_and_linear_macs for name, found in counts.items()}


def _describe_memory(device: torch.device) -> str:
    """Say what the difference of `peak_memory` and `reset_peak` measures."""
    what = "torch's CUDA memory" if device.type == "cuda" else "resident memory of the process"
    return f"{what}: peak of a run, above that before the session was opened"


def reset_peak(device: torch.device) -> int | None:
    """Free what can be freed, reset the peak and return the bytes in use.

    None if unknown: for CPU memory, only Linux tells.
    """
    gc.collect()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        return torch.cuda.memory_allocated(device)
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # proc(5): resets the peak
        return _read("VmRSS")
    except OSError:
        return None


def peak_memory(device: torch.device) -> int:
    """Return the peak in bytes since `reset_peak`, if that returned a number."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device)
    return _read("VmHWM")


def _read(key: str) -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    return 1024 * int(status.split(f"{key}:")[1].split()[0])
