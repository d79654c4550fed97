"""How much of a network is left without training: ghostify beside pruning, at equal MACs.

    python -m accuracy digits [--networks ResNet-20,VGG-16] [--seeds 0,1,2] [--shares 0.52,0.29]
    python -m accuracy photographs [--shares 0.8,0.75,0.7,0.6]

Run in examples/benchmarks, after ``pip install -e '.[bench]'``. Networks for the digits are trained
first, some minutes each, and kept in --cache. Prints one line a result, and the table at the end.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import defaultdict
from pathlib import Path

import torch
from torch import Tensor, nn

from . import digits, networks, photographs
from .methods import METHODS, Bed

CALIBRATION_IMAGES = 640


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bed", choices=["digits", "photographs"])
    parser.add_argument("--networks", default="ResNet-20,VGG-16")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--shares")
    parser.add_argument(
        "--methods", default=",,".join(METHODS), help="names, between double commas"
    )
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "ghostify-accuracy")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    methods = options.methods.split(",,")
    if options.bed == "digits":
        shares = [float(share) for share in (options.shares or "0.52,0.29").split(",")]
        on_digits(options.networks.split(","), options.seeds.split(","), shares, methods, options)
    else:
        shares = [float(share) for share in (options.shares or "0.9,0.8,0.75,0.7,0.6").split(",")]
        on_photographs(shares, methods)


def on_digits(
    names: list[str],
    seeds: list[str],
    shares: list[float],
    methods: list[str],
    options: argparse.Namespace,
) -> None:
    """Accuracy on digits that nobody has seen, relative to the original's."""
    test, classes = digits.dataset(3000, test=True, seed=1)
    found: dict[tuple[str, float, str], list[float]] = defaultdict(list)
    for name in names:
        for seed in map(int, seeds):
            model = trained(name, seed, options.cache)
            bed = Bed(model, digits.dataset(CALIBRATION_IMAGES, test=False, seed=100 + seed)[0])
            original = accuracy(model, test, classes)
            print(f"{name}, seed {seed}: {original:.1%}", flush=True)
            for share in shares:
                for method in methods:
                    start = time.perf_counter()
                    torch.manual_seed(seed)
                    smaller = METHODS[method](bed, share)
                    left = accuracy(smaller, test, classes) / original
                    found[name, share, method].append(left)
                    seconds = time.perf_counter() - start
                    macs = bed.macs_share(smaller)
                    print(
                        f"  {share:g} | {method} | {left:.1%} | MACs {macs:.3f} | {seconds:.0f} s",
                        flush=True,
                    )
    print(f"\n| method | {' | '.join(f'{n}, {s:g}' for n in names for s in shares)} |")
    print("|---|" + "---|" * (len(names) * len(shares)))
    for method in methods:
        cells = [_spread(found[name, share, method]) for name in names for share in shares]
        print(f"| {method} | {' | '.join(cells)} |")


def on_photographs(shares: list[float], methods: list[str]) -> None:
    """Agreement of EfficientNet-Lite0 with itself on photographs that nobody has seen."""
    model = photographs.efficientnet_lite0()
    bed = Bed(model, photographs.crops(512, evaluation=False, size=128, seed=0))
    images = photographs.crops(240, evaluation=True, size=128, seed=1)
    print("| method | MACs | top-1 agreement | KL, nats | seconds |")
    print("|---|---|---|---|---|")
    for share in shares:
        for method in methods:
            start = time.perf_counter()
            smaller = METHODS[method](bed, share)
            seconds = time.perf_counter() - start
            agreeing, divergence = photographs.agreement(model, smaller, images)
            macs = bed.macs_share(smaller)
            print(
                f"| {method} | {macs:.2f} | {agreeing:.1%} | {divergence:.2f} | {seconds:.0f} |",
                flush=True,
            )


def trained(name: str, seed: int, cache: Path) -> nn.Module:
    """A network from the cache, or a new one."""
    file = cache / f"{name}-{seed}.pt"
    if not file.exists():
        model = networks.train(name, seed)
        cache.mkdir(parents=True, exist_ok=True)
        torch.save(model.state_dict(), file)
    model = networks.NETWORKS[name]()
    model.load_state_dict(torch.load(file, weights_only=True))
    return model.eval()


@torch.no_grad()
def accuracy(model: nn.Module, images: Tensor, classes: Tensor) -> float:
    model.eval()
    found = torch.cat([model(batch).argmax(1) for batch in images.split(500)])
    return float((found == classes).float().mean())


def _spread(values: list[float]) -> str:
    if len(values) < 2:
        return f"{values[0]:.1%}"
    return f"{statistics.mean(values):.1%} ± {statistics.stdev(values):.1%}"


main()
