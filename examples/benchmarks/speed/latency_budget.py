"""Latency of networks that were planned within a latency budget.

    python -m speed.latency_budget [--networks resnet50] [--runtimes onnxruntime,openvino]

Requires ``pip install -e '.[export,bench]'``. One thread, batch 1, 224x224, random weights. Budgets
are shares of the original's latency. The last column is the measured share, relative to the budget.
"""

import argparse

import torch
from torchvision.models import get_model

import ghostify
from ghostify.deployment.environment import processor


def row(name: str, runtime: str, share: float, seconds: float) -> str:
    """Return the Markdown line of one network, runtime and budget."""
    torch.manual_seed(0)
    image, original = torch.randn(1, 3, 224, 224), get_model(name).eval()
    budget = f"latency={share}"
    planned = ghostify.convert(original, image, budget=budget, runtime=runtime, init="random")
    models = {"original": original, "planned": planned}
    timing = ghostify.benchmark(models, image, runtime=runtime, seconds=seconds)
    measured = timing.measurements[1]
    left = 1 / measured.speedup.median
    return (
        f"| {name} | {runtime} | {share:g} | {1 / timing.macs_ratio(measured.model):.2f}"
        f" | {left:.3f} | {left / share - 1:+.1%} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", default="resnet50")
    parser.add_argument("--runtimes", default="onnxruntime,openvino")
    parser.add_argument("--shares", default="0.6,0.4")
    parser.add_argument("--seconds", type=float, default=20, help="time per network and runtime")
    options = parser.parse_args()
    print(f"{processor()}; one thread\n")
    print("| network | runtime | latency budget | MACs | measured latency | over the budget |")
    print("|---|---|---|---|---|---|")
    for name in options.networks.split(","):
        for runtime in options.runtimes.split(","):
            for share in options.shares.split(","):
                print(row(name, runtime, float(share), options.seconds), flush=True)


if __name__ == "__main__":
    main()
