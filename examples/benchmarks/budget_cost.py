"""Time that a budget costs: measuring sensitivities, planning and converting.

    python examples/benchmarks/budget_cost.py [--network resnet50] [--size 224] [--images 128]

Plans of channels and Ghost modules and plans of Ghost modules alone take turns, and the ratio of
each round is printed. Weights and images are random: they change no amount of work.
"""

import argparse
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torchvision.models import get_model

import ghostify
from ghostify.planning import plan_sites


@contextmanager
def timed(seconds: dict[str, list[float]], step: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds.setdefault(step, []).append(time.perf_counter() - start)
    print(f"  {step}: {seconds[step][-1]:.1f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", default="resnet50")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--images", type=int, default=128)
    parser.add_argument("--share", type=float, default=0.5, help="share of the MACs")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    model = get_model(options.network, weights=None)
    images = torch.randn(options.images, 3, options.size, options.size)
    for batch in images.split(16):
        model(batch)  # so that BatchNorms have statistics
    model.eval()
    seconds: dict[str, list[float]] = {}
    for _ in range(options.rounds):
        with timed(seconds, "one forward pass of all images"), torch.no_grad():
            for batch in images.split(16):
                model(batch)
        with timed(seconds, "sensitivities"):
            measured = ghostify.sensitivity(
                model, images[:1], calibration=images, outputs="classes", progress=False
            )
        sites = ghostify.analyze(model, images[:1])
        for name, prune in (("channels and ghosts", True), ("ghosts alone", False)):
            with timed(seconds, f"plan, {name}"):
                plan = plan_sites(
                    sites, budget=f"macs={options.share}", sensitivity=measured, prune=prune
                )
            with timed(seconds, f"convert, {name}"):
                ghostify.convert(
                    model,
                    images[:1],
                    plan=plan,
                    calibration=images,
                    outputs="classes",
                    progress=False,
                )
    forward = statistics.median(seconds["one forward pass of all images"])
    print("| step | median seconds | forward passes |")
    print("|---|---|---|")
    for step, each in seconds.items():
        median = statistics.median(each)
        print(f"| {step} | {median:.1f} | {median / forward:.1f} |")


main()
