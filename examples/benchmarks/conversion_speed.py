"""How long a conversion takes, beside Torch-Pruning's pruning of the same network.

    python examples/benchmarks/conversion_speed.py [--rounds 7]

Timed are analyze + plan + convert here (without its final check, which runs both networks and has
no counterpart there), and there the pruner's construction (its dependency
graph) and one step at a ratio that leaves about as many MACs. Torch-Pruning changes the model it
is given, so it gets a copy, which is not timed; the copy that ghostify makes is. Garbage is
collected before each measurement, so that nobody sweeps for the other.
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
