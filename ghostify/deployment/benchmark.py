"""How long networks take: in turns, in one run, so that what slows the machine slows them all."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import product

import torch
from torch import Tensor, nn

from ghostify.analysis.arguments import check_models
from ghostify.analysis.dry_run import dry_run
from ghostify.deployment.backends.exporter import Session
from ghostify.deployment.backends.tensors import batch_of, batch_size, tensors_of
from ghostify.deployment.memory import meaning_of_memory, peak, settled
from ghostify.deployment.quiet import quiet
from ghostify.deployment.reparameterize import reparameterize
from ghostify.deployment.runtimes import Opener, Runtime, runtime_named
from ghostify.io.progress import progress_bar
from ghostify.planning.flops import count
from ghostify.report.timing import Measurement, Spread, Timing
from ghostify.types import Example, GhostifyError, describe_example
from ghostify.types.errors import root_cause
from ghostify.types.progress import ShowProgress

LEAST_ROUNDS = 5
"""Of which quartiles can be made."""

WARM_UP = 3
"""Runs before the first round."""


def benchmark(
    models: Mapping[str, nn.Module],
    example: Example,
    *,
    runtimes: Sequence[str] = ("eager",),
    batches: Sequence[int] = (1,),
    threads: Sequence[int] = (1,),
    rounds: int | None = None,
    seconds: float = 10.0,
    progress: ShowProgress = True,
) -> Timing:
    """Time networks side by side, in evaluation mode.

    For each runtime, batch and number of threads, sessions of all networks are opened and warmed
    up, and then run in turns: A B A B. The speed-up is taken in each round by itself.

    Args:
        models: networks by name; the first is what the others are compared with.
        example: an input as in `analyze`, repeated to the sizes of ``batches``.
        runtimes: names of `runtimes.RUNTIMES`.
        batches: inputs in one run.
        threads: of the runtime; torch has its own number back in the end.
        rounds: how many; by default as many as ``seconds`` allow, and 5 at least.
        seconds: for the rounds of each runtime, batch and number of threads.
        progress: whether to show a bar, or a function that is called with each `Progress`.

    Raises:
        GhostifyError: if a runtime is unknown or not installed, or cannot take a network; if a
            network does not run on the example in one of the sizes; or if a number is below 1.
    """
    check_models(models)
    _check(models, example, batches, threads, rounds)
    chosen = {name: runtime_named(name) for name in runtimes}
    for runtime in chosen.values():
        runtime.check_installed()
    for network, batch in product(models.values(), batches):
        dry_run(network, batch_of(example, batch))
    measurements: list[Measurement] = []
    total = len(chosen) * len(batches) * len(threads)
    with progress_bar("timing", progress) as report:
        for (name, runtime), batch in product(chosen.items(), batches):
            sized = batch_of(example, batch)
            device = torch.device("cpu") if runtime.on_cpu else _device(sized)
            done = len(measurements) // len(models)
            report(done, total, f"{name}, batch {batch}: preparing")
            with _prepared(name, runtime, models, sized) as openers:
                for number in threads:
                    said = f"{name}, batch {batch}, threads {number}"
                    report(len(measurements) // len(models), total, said)
                    runs = _in_turns(openers, sized, number, device, name, rounds, seconds)
                    measurements += measured(name, batch, number, runs)
    return Timing(
        input=describe_example(example),
        macs=_macs(models, example),
        memory=meaning_of_memory(_device(example)),
        measurements=tuple(measurements),
    )


@dataclass(frozen=True)
class Runs:
    """The seconds of one network's runs, one a round, and its memory."""

    seconds: list[float]
    memory: int | None


def measured(
    runtime: str, batch: int, threads: int, runs: Mapping[str, Runs]
) -> Iterator[Measurement]:
    """What the rounds come to; the first network is what speed-ups are taken against."""
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
        )


def take_turns(
    runs: Sequence[Callable[[], float]],
    *,
    rounds: int | None,
    seconds: float,
    clock: Callable[[], float] = time.perf_counter,
) -> list[tuple[float, ...]]:
    """What each run returns, round by round.

    Args:
        rounds: how many; or None for as many as begin within ``seconds``, `LEAST_ROUNDS` at least.
    """
    taken: list[tuple[float, ...]] = []
    end = clock() + seconds
    while len(taken) < (rounds or LEAST_ROUNDS) or (rounds is None and clock() < end):
        taken.append(tuple(run() for run in runs))
    return taken


@contextmanager
def _prepared(
    name: str, runtime: Runtime, models: Mapping[str, nn.Module], example: Example
) -> Iterator[dict[str, Opener]]:
    """Openers of all networks, in a runtime that has run once: what it loads is no network's."""
    with ExitStack() as stack:
        openers: dict[str, Opener] = {}
        for model, network in models.items():
            with _failures(model, name):
                openers[model] = stack.enter_context(runtime.prepare(network, example))
        first = next(iter(models))
        with _failures(first, name), openers[first](1) as session:
            session(tensors_of(example))
        yield openers


def _in_turns(
    openers: Mapping[str, Opener],
    example: Example,
    threads: int,
    device: torch.device,
    runtime: str,
    rounds: int | None,
    seconds: float,
) -> dict[str, Runs]:
    tensors = tensors_of(example)
    stopwatches, memory = [], {}
    with ExitStack() as stack:
        for model, opened in openers.items():
            with _failures(model, runtime):
                before = settled(device)
                session = stack.enter_context(opened(threads))
                session(tensors)  # the first run may compile or allocate
                settled(device)
                for _ in range(WARM_UP):
                    session(tensors)
                memory[model] = None if before is None else max(peak(device) - before, 0)
            stopwatches.append(partial(_STOPWATCHES[device.type], session, tensors))
        taken = take_turns(stopwatches, rounds=rounds, seconds=seconds)
    return {
        model: Runs(list(own), memory[model])
        for model, own in zip(openers, zip(*taken, strict=True), strict=True)
    }


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
def _failures(model: str, runtime: str) -> Iterator[None]:
    """A runtime's own error, in one line; and none of its talk."""
    try:
        with quiet():
            yield
    except Exception as error:
        raise GhostifyError(f"{model} does not run in {runtime}: {root_cause(error)}") from error


def _check(
    models: Mapping[str, nn.Module],
    example: Example,
    batches: Sequence[int],
    threads: Sequence[int],
    rounds: int | None,
) -> None:
    if not models:
        raise GhostifyError("there is no network to time")
    for name, numbers in {"batches": batches, "threads": threads, "rounds": (rounds or 1,)}.items():
        if not numbers or min(numbers) < 1:
            raise GhostifyError(f"{name} (={numbers!r}) must be numbers from 1")
    if batch_size(example) is None:
        raise GhostifyError("the example has no batch: its first tensor has no dimension")
    if _device(example).type not in _STOPWATCHES:
        raise GhostifyError(f"cannot time on {_device(example)}: use cpu or cuda")


def _device(example: Example) -> torch.device:
    return next(tensor.device for tensor in tensors_of(example) if tensor.dim())


def _macs(models: Mapping[str, nn.Module], example: Example) -> dict[str, int]:
    """Of what runs: parallel branches are one convolution each."""
    models = {name: reparameterize(model) for name, model in models.items()}
    counts = {name: count(model, example) for name, model in models.items()}
    if len({found.counter for found in counts.values()}) > 1:
        counts = {name: count(m, example, counter="torch") for name, m in models.items()}
    return {name: found.conv_and_linear_macs for name, found in counts.items()}
