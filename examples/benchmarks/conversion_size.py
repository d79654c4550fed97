"""Time of a conversion over the number of convolutions, and memory over the size of their weights.

    python examples/benchmarks/conversion_size.py [--rounds 3] [--parameters 1e9]

Time includes analyze, plan and convert with its verification. Memory is the peak of the process
above its level before, relative to the size of the returned network: 1.0x is the returned copy and
nothing else.
"""

import argparse
import resource
import statistics
import time

import torch
from torch import nn

import ghostify


def chain(count: int, width: int) -> nn.Module:
    layers = [nn.Conv2d(3, width, 1)]
    layers += [nn.Conv2d(width, width, 3, padding=1) for _ in range(count)]
    return nn.Sequential(*layers)


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--parameters", type=float, default=1e9)
    options = parser.parse_args()
    example = torch.zeros(1, 3, 8, 8)
    counts = [250, 500, 1000]
    models = {count: chain(count, 8) for count in counts}
    times: dict[int, list[float]] = {count: [] for count in counts}
    for _ in range(options.rounds):
        for count, model in models.items():
            start = time.perf_counter()
            ghostify.convert(model, example, init="random")
            times[count].append(time.perf_counter() - start)
    for count in counts:
        median = statistics.median(times[count])
        print(f"{count:5} convolutions: {median:6.2f} s, {median / count * 1e3:.2f} ms each")

    width = 1024
    big = chain(round(options.parameters / (9 * width**2)), width)
    before = peak_bytes()
    ghost = ghostify.convert(big, example, init="random")
    grown = peak_bytes() - before
    returned = sum(p.numel() * p.element_size() for p in ghost.parameters())
    original = sum(p.numel() for p in big.parameters())
    print(
        f"{original / 1e6:.0f} M parameters: peak grows by {grown / 1e9:.2f} GB, "
        f"{grown / returned:.2f}x of the {returned / 1e9:.2f} GB returned"
    )


if __name__ == "__main__":
    main()
