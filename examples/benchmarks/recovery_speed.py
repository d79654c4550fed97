"""Throughput of `ghostify.recover` relative to a minimal training loop.

    python examples/benchmarks/recovery_speed.py [--model resnet18] [--size 64] [--rounds 5]

Both train the same student with the same teacher. Runs of a few seconds are interleaved; the median
of their ratios is printed.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import get_model

import ghostify
from ghostify.analysis.model_copy import copy_model, frozen_copy


def bare(teacher: nn.Module, student: nn.Module, batches: list[Tensor]) -> float:
    """Return the images per second of a minimal distillation loop."""
    teacher, student = frozen_copy(teacher), copy_model(student).eval()
    for network in (teacher, student):
        network.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(student.parameters(), lr=1e-3)
    begin = time.perf_counter()
    for images in batches:
        images = images.contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            taught = teacher(images)
        loss = F.kl_div(
            (student(images) / 2).log_softmax(1), (taught / 2).softmax(1), reduction="batchmean"
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return sum(map(len, batches)) / (time.perf_counter() - begin)


def ours(teacher: nn.Module, student: nn.Module, batches: list[Tensor]) -> float:
    """Return the images per second of `ghostify.recover`."""
    settings = ghostify.RecoverySettings(epochs=1, lr=1e-3)
    _, recovery = ghostify.recover(
        teacher, student, batches, settings, outputs="classes", validation=batches[:1]
    )
    return recovery.images / recovery.seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="resnet18")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.manual_seed(0)
    teacher = get_model(options.model).eval()
    batches = [
        torch.randn(options.batch, 3, options.size, options.size) for _ in range(options.steps)
    ]
    teacher = ghostify.recalibrate(teacher, batches, progress=False)  # a random one is refused
    student = ghostify.convert(teacher, batches[0][:1], init="random")
    bare(teacher, student, batches[:2])
    ratios = []
    for _ in range(options.rounds):
        plain, own = (loop(teacher, student, batches) for loop in (bare, ours))
        ratios.append(own / plain)
        print(f"bare {plain:.1f}, ghostify {own:.1f} images/s: {ratios[-1]:.3f}", flush=True)
    print(f"ghostify over bare, median of {options.rounds}: {statistics.median(ratios):.3f}x")


main()
