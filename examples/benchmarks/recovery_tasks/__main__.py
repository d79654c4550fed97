"""Recovery of eight converted networks, with the default settings and with fixed learning rates.

    python -m recovery_tasks [--rates 1e-3,3e-3,1e-2,3e-2] [--tasks detector] [--seed 1]

Run in examples/benchmarks, after ``pip install -e '.[bench,train]'``. Originals are trained first,
and cached in --cache. Each training has 2,000 images without labels: 10 epochs of batches of 64.
Scores are of 2,000 other images. The default settings were chosen with seed 0, so the default here
is another. Prints a Markdown table, in about half an hour on one core.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import ghostify
from ghostify.analysis.model_copy import copy_model
from ghostify.training.checkpoint import read_checkpoint
from ghostify.types import Recovery

from .tasks import TASKS, TEACHING, Task

CALIBRATION, IMAGES, BATCH = 512, 2000, 64


def recovered(
    original: nn.Module, student: nn.Module, images: Tensor, **settings: Any
) -> tuple[nn.Module, nn.Module, Recovery]:
    """Return the network after one epoch, the result and the record."""
    loader = DataLoader(TensorDataset(images), BATCH, shuffle=True)
    first = copy_model(student)
    with tempfile.TemporaryDirectory() as folder:

        def keep_first(record: Mapping[str, Any]) -> None:
            checkpoint = read_checkpoint(Path(folder))  # that of the epoch before
            if record["epoch"] == 2 and checkpoint is not None:
                weights = checkpoint.tensors["ema"].items()
                module = "module."
                first.load_state_dict(
                    {n.removeprefix(module): t for n, t in weights if n.startswith(module)}
                )

        result, recovery = ghostify.recover(
            original, student, loader, folder=folder, on_epoch=keep_first, **settings
        )
    return first, result, recovery


def row(task: Task, rates: list[float], cache: Path, seed: int) -> str:
    original = task.original(cache, seed)
    inputs, targets = task.problem.data(IMAGES, test=True, seed=seed)
    images = task.problem.data(TEACHING + IMAGES, test=False, seed=seed)[0]
    calibration = images[:CALIBRATION] if task.calibrated else None
    student = ghostify.convert(
        original, inputs[:1], ratio=task.ratio, calibration=calibration, progress=False
    )

    def score(network: nn.Module) -> float:
        with torch.no_grad():
            return task.problem.metric(network(inputs), targets)

    begin = [score(original), score(student)]
    first, result, recovery = recovered(original, student, images[TEACHING:], seed=seed)
    ends = {}
    for rate in rates:
        fixed = recovered(original, student, images[TEACHING:], lr=rate, seed=seed)[1]
        ends[rate] = score(fixed)
        print(f"  {task.name}, lr {rate:g}: {ends[rate]:.1f}", flush=True)
    best = max(ends, key=ends.__getitem__)
    cells = [*begin, score(first), score(result)]
    numbers = " | ".join(f"{cell:.1f}" for cell in cells)
    return (
        f"| {task.name} | {task.problem.unit} | {numbers} | {recovery.settings.lr:g} "
        f"| {ends[best]:.1f} at {best:g} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rates", default="1e-3,3e-3,1e-2,3e-2")
    parser.add_argument("--tasks", default="", help="part of the names of the tasks")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "ghostify-recovery")
    parser.add_argument("--seed", type=int, default=1, help="random seed of all steps")
    options = parser.parse_args()
    rates = [float(rate) for rate in options.rates.split(",")]
    rows = []
    for task in TASKS:
        if options.tasks in task.name:
            rows.append(row(task, rates, options.cache, options.seed))
            print(rows[-1], flush=True)
    print("\n| task | metric, % | original | start | epoch 1 | end | lr | best fixed rate |")
    print("|---|---|---|---|---|---|---|---|")
    print("\n".join(rows))


main()
