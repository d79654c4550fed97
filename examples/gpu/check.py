"""Check ghostify on a GPU: calibration, deployment, training, memory, latency, processes.

    pip install -e '.[train]' && python examples/gpu/check.py [--device cuda] [--quick]

Prints one table, and exits with 1 if a check fails. It downloads nothing, and takes less than eight
minutes: weights and images are random. ``--quick`` takes small networks and few images;
``--device cpu`` skips what only a GPU can do.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import resnet18, resnet50

import ghostify
from ghostify.analysis.model_copy import copy_model
from ghostify.data.batches import find_device
from ghostify.deployment.benchmark import peak_memory, reset_peak, take_turns
from ghostify.types import Fidelity
from ghostify.types.attachment import DeploymentReport

TOLERANCE = 0.01
"""Difference of relative errors of feature maps, and relative difference of losses."""

Found = tuple[str, bool]
"""What a check has found, and whether it is as it should be."""


@dataclass(frozen=True)
class Bed:
    """Networks and images on a device.

    Attributes:
        make: the network to compare devices and to train.
        make_large: the network whose memory and latency are measured.
        size: side of the images in pixels.
        large_size: the same for the large network.
        images: for calibration, and for an epoch.
        batches: batch sizes to time; the last one also for training.
        seconds: for the rounds of each timing.
    """

    device: str
    make: Callable[[], nn.Module]
    make_large: Callable[[], nn.Module]
    size: int
    large_size: int
    images: int
    batches: tuple[int, ...]
    seconds: float

    @property
    def on_gpu(self) -> bool:
        return torch.device(self.device).type == "cuda"

    @cached_property
    def data(self) -> list[Tensor]:
        """Batches of random images, smooth as photographs are."""
        torch.manual_seed(0)
        images = torch.randn(self.images, 3, self.size // 4, self.size // 4)
        return list(nn.functional.interpolate(images, scale_factor=4).split(16))

    @cached_property
    def original(self) -> nn.Module:
        """On the CPU, with statistics of the data."""
        torch.manual_seed(0)
        return _with_statistics(self.make(), self.data)

    @cached_property
    def large(self) -> nn.Module:
        return _with_statistics(self.make_large(), [self.large_images(16)]).to(self.device)

    def large_images(self, number: int, device: str = "cpu") -> Tensor:
        return torch.randn(number, 3, self.large_size, self.large_size, device=device)

    @cached_property
    def networks(self) -> dict[str, nn.Module]:
        """The large network, converted in several ways."""
        example = self.large_images(1, self.device)
        plans: dict[str, dict[str, Any]] = {
            "s=2": {"ratio": 2},
            "s=4": {"ratio": 4},
            "macs=0.5": {"budget": "macs=0.5"},
        }
        converted = {
            name: ghostify.convert(self.large, example, init="random", progress=False, **plan)
            for name, plan in plans.items()
        }
        return {"original": self.large, **converted}


class Small(nn.Module):
    """A residual network of a few layers."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU())
        self.conv = nn.Conv2d(16, 32, 3, 2, 1, bias=False)
        self.norm = nn.BatchNorm2d(32)
        self.middle = nn.Conv2d(32, 64, 3, padding=1)
        self.project = nn.Conv2d(64, 32, 1)
        self.head = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.conv(self.stem(x))).relu()
        x = x + self.project(self.middle(x).relu())
        return self.head(x.mean((2, 3)))


def _with_statistics(model: nn.Module, data: list[Tensor]) -> nn.Module:
    return ghostify.recalibrate(model, data, progress=False)


def check_calibration(bed: Bed) -> Iterator[tuple[str, Found]]:
    """Convert and measure on both devices."""
    fits, sensitivities = [], []
    for device in ("cpu", bed.device):
        model, example = _copy(bed.original, device), bed.data[0][:1].to(device)
        options: dict[str, Any] = {"calibration": bed.data, "outputs": "classes", "progress": False}
        start = time.perf_counter()
        ghost = ghostify.convert(model, example, **options)
        fits.append((_fidelity(ghost), time.perf_counter() - start))
        sensitivities.append(ghostify.sensitivity(model, example, **options))
    (ours, seconds), (theirs, others) = fits
    errors = [abs(ours.residuals[name] - theirs.residuals[name]) for name in ours.residuals]
    text = f"errors of feature maps differ by {max(errors):.1e}; {seconds:.1f} s and {others:.1f} s"
    yield "convert, CPU and device", (text, max(errors) < TOLERANCE)
    pairs = [
        (number, sensitivities[1].layers[name][ghost])
        for name, layer in sensitivities[0].layers.items()
        for ghost, number in layer.items()
    ]
    off = max(abs(a - b) / max(a, b, 1e-9) for a, b in pairs)
    yield "sensitivity, CPU and device", (f"differ by {off:.1e}", off < 0.1)


def check_large_calibration(bed: Bed) -> Iterator[tuple[str, Found]]:
    """Convert the large network with calibration on the device."""
    images = list(bed.large_images(bed.images).split(16))
    _synchronize(bed)
    start = time.perf_counter()
    with torch.no_grad():
        for batch in images:
            bed.large(batch.to(bed.device))
    _synchronize(bed)
    forward = time.perf_counter() - start
    example = bed.large_images(1, bed.device)
    start = time.perf_counter()
    ghost = ghostify.convert(
        bed.large, example, calibration=images, outputs="classes", progress=False
    )
    seconds = time.perf_counter() - start
    residuals = _fidelity(ghost).residuals.values()
    text = f"{seconds:.1f} s, {seconds / forward:.0f} forward passes of {len(images) * 16} images"
    yield "convert, large network", (text, all(0 <= error < 1 for error in residuals))


def check_deployment(bed: Bed) -> Iterator[tuple[str, Found]]:
    """Fold all BatchNorms, which is verified to 1e-4."""
    for name, network in bed.networks.items():
        report = DeploymentReport.find(ghostify.deploy(network, bed.large_images(1, bed.device)))
        folded, left = len(report.folded_norms), len(report.remaining_norms)
        yield f"deploy {name}", (f"{folded} BatchNorms folded, {left} left", folded > 0 == left)


def check_recovery(bed: Bed) -> Iterator[tuple[str, Found]]:
    """Train in each precision, compiled or not, and in each memory format."""
    halves = ("bf16", "fp16") if bed.on_gpu else ("bf16",)
    ways = [(half, compiled, True) for half in halves for compiled in (False, True)]
    for precision, compiled, channels_last in [
        ("fp32", False, True),
        *ways,
        ("bf16", False, False),
    ]:
        history = _recover(bed, precision=precision, compile=compiled, channels_last=channels_last)
        losses, seconds = ([epoch[name] for epoch in history] for name in ("loss", "seconds"))
        speed = bed.images / (seconds[1] - seconds[0])
        kind = "channels last" if channels_last else "contiguous"
        name = f"recover, {precision}, {'compile' if compiled else 'eager'}, {kind}"
        text = f"loss {losses[0]:.3g} to {losses[1]:.3g}, {speed:.0f} images/s"
        yield name, (text, losses[1] < losses[0])


def check_compression(bed: Bed) -> Iterator[tuple[str, Found]]:
    """Compress on the device a network that stays on the CPU."""
    with tempfile.TemporaryDirectory() as folder:
        small, found = ghostify.compress(
            bed.original, bed.data, bed.data[0][:1], out=Path(folder, "out"), budget="macs=0.5",
            minutes=0.1, outputs="classes", device=bed.device, progress=False,
        )  # fmt: skip
    ratio = found.original.macs / found.best.macs
    text = f"{ratio:.2f}x fewer MACs, {found.best.minutes:.1f} min trained"
    yield "compress", (text, ratio > 1.9 and next(small.parameters()).device.type == "cpu")


def check_memory(bed: Bed) -> Iterator[tuple[str, Found]]:
    """Measure the peak memory of a training step above that before, gradients included."""
    device, batch = torch.device(bed.device), bed.batches[-1]
    images = bed.large_images(batch, bed.device)
    peaks = {}
    for name, network in bed.networks.items():
        network.train().requires_grad_(True)
        for _ in range(2):  # the first one allocates workspaces
            network.zero_grad()
            before = reset_peak(device)
            with torch.autocast(device.type, torch.bfloat16):
                loss = network(images).float().square().mean()
            loss.backward()
        peaks[name] = peak_memory(device) - (before or 0)
        network.zero_grad()
        network.eval()
    for name, peak in peaks.items():
        ratio = peak / peaks["original"]
        text = f"{peak / 2**20:.0f} MiB, {ratio:.2f}x the original's"
        yield f"training memory, {name}, batch {batch}", (text, ratio < 1.1 or not bed.on_gpu)


def check_latency(bed: Bed) -> Iterator[tuple[str, Found]]:
    """Time the networks in turns: eager, compiled and as a CUDA graph."""
    example = bed.large_images(1, bed.device)
    for runtime, batches in (("eager", bed.batches), ("compile", bed.batches[-1:])):
        timing = ghostify.benchmark(
            bed.networks,
            example,
            runtime=runtime,
            batch=batches,
            seconds=bed.seconds,
            progress=False,
        )
        for found in timing.measurements:
            milliseconds = 1000 * found.seconds.median
            text = f"{milliseconds:.3f} ms, {found.speedup.median:.2f}x"
            yield f"{runtime}, {found.model}, batch {found.batch}", (text, milliseconds > 0)
    for batch in bed.batches if bed.on_gpu else ():
        images = bed.large_images(batch, bed.device)
        runs = [_graph(ghostify.deploy(n, images[:1]), images) for n in bed.networks.values()]
        taken = take_turns(runs, rounds=None, seconds=bed.seconds)
        for name, own in zip(bed.networks, zip(*taken, strict=True), strict=True):
            speedup = median(turn[0] / mine for turn, mine in zip(taken, own, strict=True))
            text = f"{1000 * median(own):.3f} ms, {speedup:.2f}x"
            yield f"CUDA graph, {name}, batch {batch}", (text, True)


def check_processes(bed: Bed) -> Iterator[tuple[str, Found]]:
    """Train in one process of torchrun (two on a CPU), with the losses of a plain process."""
    plain = _recover(bed, precision="fp32")
    processes = 1 if bed.on_gpu else 2
    with tempfile.TemporaryDirectory() as folder:
        torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        quick = ["--quick"] * (bed.make is Small)
        command = [*torchrun, __file__, "--device", bed.device, *quick, "--worker", folder]
        done = subprocess.run([sys.executable, *command], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr.strip().splitlines()[-1])
        lines = Path(folder, "history.jsonl").read_text(encoding="utf-8").splitlines()
    losses = [json.loads(line)["loss"] for line in lines]
    off = max(abs(a / b["loss"] - 1) for a, b in zip(losses, plain, strict=True))
    text = f"{processes} of torchrun, losses differ by {off:.1e}"
    yield "recover, several processes", (text, off < TOLERANCE)


CHECKS = (
    check_calibration,
    check_large_calibration,
    check_deployment,
    check_recovery,
    check_compression,
    check_memory,
    check_latency,
    check_processes,
)


def _recover(bed: Bed, **settings: Any) -> tuple[Any, ...]:
    """Train a network with random Ghost modules for two epochs; return its history."""
    original, data = bed.original, bed.data
    torch.manual_seed(0)
    student = ghostify.convert(original, data[0][:1], init="random", progress=False)
    options = {"device": bed.device, "validation": data[:1], "epochs": 2, "lr": 1e-3} | settings
    _, recovery = ghostify.recover(
        original, student, data, outputs="classes", progress=False, **options
    )
    return recovery.history


@torch.no_grad()
def _graph(network: nn.Module, images: Tensor) -> Callable[[], float]:
    """Capture a forward pass; return what runs it and returns its seconds."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            network(images)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        network(images)

    def run() -> float:
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize()
        begin.record()
        graph.replay()
        end.record()
        end.synchronize()
        return float(begin.elapsed_time(end)) / 1000

    return run


def _fidelity(model: nn.Module) -> Fidelity:
    found = Fidelity.find(model)
    assert found is not None
    return found


def _copy(model: nn.Module, device: str) -> nn.Module:
    return copy_model(model).to(device)


def _synchronize(bed: Bed) -> None:
    if bed.on_gpu:
        torch.cuda.synchronize()


def run(bed: Bed) -> bool:
    """Print the table; return whether all checks passed."""
    print("| check | found | |\n|---|---|---|")
    passed = True
    for check in CHECKS:
        try:
            for name, (text, good) in check(bed):
                passed &= good
                print(f"| {name} | {text} | {'ok' if good else 'FAILED'} |", flush=True)
        except Exception as error:
            passed = False
            traceback.print_exc()
            reason = str(error).strip().splitlines() or [type(error).__name__]
            print(f"| {check.__name__} | {reason[0]} | FAILED |", flush=True)
    return passed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--quick", action="store_true", help="small networks, few images")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    bed = Bed(options.device, resnet18, resnet50, 64, 224, 128, (1, 32), 4.0)
    if options.quick:
        bed = Bed(options.device, Small, Small, 32, 32, 64, (2,), 0.1)
    try:
        find_device(options.device)
    except ghostify.GhostifyError as error:
        sys.exit(str(error))
    torch.manual_seed(0)
    if options.worker:
        _recover(bed, precision="fp32", device=None, folder=options.worker)
        return
    start = time.perf_counter()
    name = torch.cuda.get_device_name(options.device) if bed.on_gpu else "CPU"
    print(f"{name}, PyTorch {torch.__version__}\n")
    passed = run(bed)
    print(f"\n{time.perf_counter() - start:.0f} s")
    sys.exit(not passed)


if __name__ == "__main__":
    main()
