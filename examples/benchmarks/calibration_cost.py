"""Time and memory that planning and calibration take, and how they grow.

    python examples/benchmarks/calibration_cost.py [--network resnet50] [--size 224] [--images 128]
    python examples/benchmarks/calibration_cost.py --growth --network chain:8x64 --size 32

Time is relative to one forward pass of all images, by the processor seconds of the same run. Memory
is the peak of the process's own memory (RssAnon of Linux) above its level before, without the
network that is returned, relative to the original's weights. Temporary files belong to the system's
cache; their peak is printed separately. ``--growth`` doubles images, layers and width of a chain,
``chain:LAYERSxWIDTH``, and prints by which power of them the processor seconds grow.

Images are random, and so are the weights of named networks; a forward pass in training mode gives
BatchNorms statistics. ``--network examples/gallery/lite0.py:build`` has trained weights.
"""

import argparse
import math
import multiprocessing
import os
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import ghostify
from ghostify.deployment.benchmark import reset_peak
from ghostify.models.registry import build
from ghostify.types import ModelSource

BATCH = 16


@dataclass(frozen=True)
class Case:
    """A network, and random images to calibrate it with."""

    network: str
    images: int
    size: int
    threads: int
    budget: str

    def __str__(self) -> str:
        threads = "one thread" if self.threads == 1 else f"{self.threads} threads"
        images = f"{self.images} images of {self.size} pixels"
        return f"{self.network}, {images}, {self.budget}, {threads}"


@dataclass(frozen=True)
class Cost:
    """What a step costs; memory and files are in weights of the original and in bytes."""

    seconds: float
    processor_seconds: float
    memory: float
    files: int


class Subject:
    """The network of a case, and what its steps return."""

    def __init__(self, case: Case) -> None:
        torch.set_num_threads(case.threads)
        torch.manual_seed(0)
        self.budget = case.budget
        self.images = torch.randn(case.images, 3, case.size, case.size)
        self.model = network(case.network, self.images)
        self.measured: Any = None
        self.planned: Any = None

    @torch.no_grad()
    def forward(self) -> None:
        for batch in self.images.split(BATCH):
            self.model(batch)

    def plan_without_data(self) -> None:
        ghostify.plan(self.model, self.images[:1], budget=self.budget, progress=False)

    def convert_without_data(self) -> nn.Module:
        return ghostify.convert(self.model, self.images[:1], init="weights", progress=False)

    def sensitivity(self) -> None:
        self.measured = ghostify.sensitivity(
            self.model, self.images[:1], **self.data, progress=False
        )

    def plan(self) -> None:
        self.planned = ghostify.plan(
            self.model,
            self.images[:1],
            budget=self.budget,
            sensitivity=self.measured,
            progress=False,
        )

    def convert_uniform(self) -> nn.Module:
        return ghostify.convert(self.model, self.images[:1], **self.data, progress=False)

    def convert(self) -> nn.Module:
        return ghostify.convert(
            self.model, self.images[:1], plan=self.planned, **self.data, progress=False
        )

    @property
    def data(self) -> dict[str, Any]:
        return {"calibration": list(self.images.split(BATCH)), "outputs": "classes"}


STEPS: dict[str, Callable[[Subject], nn.Module | None]] = {
    "forward pass of all images": Subject.forward,
    "plan without data": Subject.plan_without_data,
    "convert without data, s = 2": Subject.convert_without_data,
    "sensitivity": Subject.sensitivity,
    "plan": Subject.plan,
    "convert, s = 2": Subject.convert_uniform,
    "convert as planned": Subject.convert,
}


def network(name: str, images: Tensor) -> nn.Module:
    """Return a network in evaluation mode, with BatchNorm statistics."""
    if name.startswith("chain:"):
        model = chain(*layers_and_width(name))
    else:
        model, _ = build(ModelSource(name))
    if not name.endswith(":build"):
        with torch.no_grad():
            model.train()(images[:BATCH])
    return model.eval()


def layers_and_width(name: str) -> tuple[int, int]:
    layers, width = name.removeprefix("chain:").split("x")
    return int(layers), int(width)


def chain(layers: int, width: int) -> nn.Module:
    """Return 3x3 convolutions, each with BatchNorm and ReLU, and a classifier."""
    parts: list[nn.Module] = []
    for inputs in (3, *[width] * layers):
        conv = nn.Conv2d(inputs, width, 3, padding=1, bias=False)
        parts += [conv, nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
    return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10))


def size_of(model: nn.Module) -> int:
    return sum(t.untyped_storage().nbytes() for t in (*model.parameters(), *model.buffers()))


def enter(case: Case) -> None:
    """Make the subject of a process, in which everything has been loaded and has run once."""
    global subject
    small = Subject(replace(case, network="chain:2x8", images=BATCH, size=8))
    for step in STEPS.values():
        step(small)
    subject = Subject(case)


def free() -> tuple[int, int]:
    """Free memory; return the process's number and the bytes of the weights."""
    reset_peak(torch.device("cpu"))
    return os.getpid(), size_of(subject.model)


def take(step: str) -> tuple[float, float, int]:
    """Take a step; return its seconds, its processor seconds and the bytes that it returns."""
    start, processor_start = time.perf_counter(), time.process_time()
    returned = STEPS[step](subject)
    end, processor_end = time.perf_counter(), time.process_time()
    size = 0 if returned is None else size_of(returned)
    return end - start, processor_end - processor_start, size


def measure(case: Case, rounds: int) -> dict[str, Cost]:
    """Return the median cost of each step, in a process whose memory this one watches."""
    costs: dict[str, list[Cost]] = {step: [] for step in STEPS}
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn, enter, (case,)) as pool:
        for _ in range(rounds):
            for step in STEPS:
                process, weights = pool.submit(free).result()
                before = own_memory(process)
                taken = pool.submit(take, step)
                peak, files = watch(process, taken)
                seconds, processor_seconds, size = taken.result()
                print(f"{case.network}: {step}, {seconds:.1f} s", file=sys.stderr, flush=True)
                memory = (peak - before - size) / weights
                costs[step].append(Cost(seconds, processor_seconds, max(memory, 0.0), files))
    return {
        step: Cost(*(statistics.median(column) for column in zip(*map(values, each), strict=True)))
        for step, each in costs.items()
    }


def values(cost: Cost) -> tuple[float, float, float, int]:
    return cost.seconds, cost.processor_seconds, cost.memory, cost.files


def watch(process: int, until: Future[Any]) -> tuple[int, int]:
    """Return the most memory of its own, and the most bytes of temporary files, of a process."""
    peak = files = 0
    while not until.done():
        peak, files = max(peak, own_memory(process)), max(files, temporary_files(process))
        wait([until], timeout=0.02)
    return peak, files


def own_memory(process: int) -> int:
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii", errors="replace")
    return 1024 * int(status.split("RssAnon:")[1].split()[0])


def temporary_files(process: int) -> int:
    """Return the bytes of the unnamed files in the temporary folder that a process has mapped."""
    maps = Path(f"/proc/{process}/maps").read_text(encoding="utf-8", errors="replace")
    folder = re.escape(tempfile.gettempdir())
    ranges = re.findall(rf"^(\w+)-(\w+) .* {folder}/.*\(deleted\)$", maps, re.MULTILINE)
    return sum(int(end, 16) - int(start, 16) for start, end in ranges)


def print_costs(case: Case, rounds: int) -> None:
    costs = measure(case, rounds)
    forward = costs[next(iter(STEPS))].processor_seconds
    print(f"{case}\n")
    print("| step | seconds | forward passes | memory | temporary files |")
    print("|---|---|---|---|---|")
    for step, cost in costs.items():
        print(
            f"| {step} | {cost.seconds:.1f} | {cost.processor_seconds / forward:.2f} "
            f"| {cost.memory:.1f}x | {cost.files / 1e6:.0f} MB |"
        )


def print_growth(case: Case, rounds: int) -> None:
    layers, width = layers_and_width(case.network)
    doubled = {
        "images": replace(case, images=2 * case.images),
        "layers": replace(case, network=f"chain:{2 * layers}x{width}"),
        "width": replace(case, network=f"chain:{layers}x{2 * width}"),
    }
    base, *others = (measure(each, rounds) for each in (case, *doubled.values()))
    print(f"{case}; powers by which seconds grow\n")
    print(f"| step | seconds | {' | '.join(doubled)} |\n|---|---|---|---|---|")
    for step, cost in base.items():
        ratios = [other[step].processor_seconds / cost.processor_seconds for other in others]
        powers = " | ".join(f"{math.log2(ratio):.1f}" for ratio in ratios)
        print(f"| {step} | {cost.processor_seconds:.2f} | {powers} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", default="resnet50")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--images", type=int, default=128)
    parser.add_argument("--budget", default="macs=0.5")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--growth", action="store_true", help="print powers of growth instead")
    options = vars(parser.parse_args())
    rounds, growth = options.pop("rounds"), options.pop("growth")
    (print_growth if growth else print_costs)(Case(**options), rounds)


if __name__ == "__main__":
    main()
