"""Time of a conversion, compared with pruning the same network by Torch-Pruning.

    python examples/benchmarks/conversion_speed.py [--rounds 7]

For ghostify, analyze, plan and convert are timed, without verification, which has no counterpart in
Torch-Pruning. For Torch-Pruning, the construction of the pruner (its dependency graph) and one step
at a ratio that leaves about as many MACs are timed. Torch-Pruning changes its model in place, so it
gets a copy, which is not timed; the copy that ghostify makes is timed. Garbage is collected before
each measurement.
"""

import argparse
import copy
import gc
import statistics
import time
from collections.abc import Callable

import torch
import torch_pruning
from torch import nn
from torchvision.models import get_model

import ghostify
from ghostify.planning import plan_sites

NETWORKS = ["resnet50", "vgg16", "densenet121"]


def ghostify_seconds(model: nn.Module, example: torch.Tensor) -> float:
    gc.collect()
    start = time.perf_counter()
    plan = plan_sites(ghostify.analyze(model, example))
    ghostify.convert(model, plan=plan)
    return time.perf_counter() - start


def torch_pruning_seconds(model: nn.Module, example: torch.Tensor) -> float:
    model = copy.deepcopy(model)
    head = [module for module in model.modules() if isinstance(module, nn.Linear)][-1]
    gc.collect()
    start = time.perf_counter()
    pruner = torch_pruning.pruner.BasePruner(
        model,
        example,
        importance=torch_pruning.importance.GroupMagnitudeImportance(p=1),
        pruning_ratio=0.3,
        ignored_layers=[head],
    )
    pruner.step()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    timed: dict[str, Callable[[nn.Module, torch.Tensor], float]] = {
        "ghostify": ghostify_seconds,
        "torch-pruning": torch_pruning_seconds,
    }
    example = torch.zeros(1, 3, 224, 224)
    print(f"{'':12} {'ghostify':>10} {'torch-pruning':>14} {'ratio':>7}   (medians, s)")
    for name in NETWORKS:
        model = get_model(name).eval()
        for measure in timed.values():
            measure(model, example)
        times = [[measure(model, example) for measure in timed.values()] for _ in range(rounds)]
        ours, theirs = (statistics.median(column) for column in zip(*times, strict=True))
        print(f"{name:12} {ours:10.3f} {theirs:14.3f} {theirs / ours:6.1f}x")


if __name__ == "__main__":
    main()
