"""Accuracy of smaller networks before any training."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import torch

from . import digits, photographs
from .debian_photographs import SIDES
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


def on_photographs(
    shares: list[float], methods: Sequence[str], numbers: Sequence[int | None], folder: Path
) -> None:
    """Print how closely networks follow EfficientNet-Lite0 on unseen photographs.

    Args:
        numbers: how many photographs to calibrate with; None for all.
        folder: where the photographs are.
    """
    model = photographs.efficientnet_lite0()
    images, test = (photographs.center_crops(folder / side) for side in SIDES)
    print(f"{len(images)} photographs to calibrate with, {len(test)} to compare on\n")
    print("| images | MACs | method | top-1 / top-5 / KL, nats | MACs | seconds |")
    print("|---|---|---|---|---|---|")
    for number in numbers:
        bed = Bed(model, images[:number])
        for share in shares:
            for method in methods:
                start = time.perf_counter()
                torch.manual_seed(0)
                smaller = METHODS[method](bed, share)
                seconds = time.perf_counter() - start
                macs, found = bed.macs_share(smaller), photographs.agreement(model, smaller, test)
                print(
                    f"| {len(bed.images)} | {share:g} | {method} | {found} | {macs:.3f}"
                    f" | {seconds:.0f} |",
                    flush=True,
                )
