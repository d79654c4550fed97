"""Accuracy of smaller networks before any training."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence

import torch

from . import digits, photographs
from .methods import CALIBRATION_IMAGES, METHODS, Bed
from .networks import Trained
from .scores import accuracy, print_table, spread


def on_digits(
    names: list[str],
    seeds: list[int],
    shares: list[float],
    methods: Sequence[str],
    trained: Trained,
) -> None:
    """Print the accuracy on unseen digits, relative to the original's."""
    test, classes = digits.dataset(3000, test=True, seed=1)
    found: dict[tuple[str, float, str], list[float]] = defaultdict(list)
    for name in names:
        for seed in seeds:
            model = trained(name, seed)
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
    print_table(found, names, shares, methods, spread)


def on_photographs(shares: list[float], methods: Sequence[str]) -> None:
    """Print the agreement with EfficientNet-Lite0 on unseen photographs."""
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
