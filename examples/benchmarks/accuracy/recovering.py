"""Accuracy after recovery, for networks made smaller by several methods."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

import ghostify

from . import digits, networks, photographs
from .debian_photographs import SIDES
from .methods import CALIBRATION_IMAGES, METHODS, Bed
from .networks import Trained
from .scores import accuracy, print_table, spread

BATCH = 96
STEPS = 75
"""A twentieth of the originals' steps, with the same batch size."""

CROPS, EPOCH = 48, 50
"""Photographs in a batch, and batches in an epoch."""

FEATURE_WEIGHT = 2.0
FROM_SCRATCH = "random, from scratch"
STAGES = 4
IN_STAGES = f"planned, in {STAGES} stages"
DIGIT_METHODS = (
    "planned",
    "ghosts, planned",
    "L1 pruning, refitted",
    "FPGM pruning, refitted",
    "random",
    FROM_SCRATCH,
)
PHOTOGRAPH_METHODS = ("planned", "ghosts, planned", "L1 pruning, refitted", "random")


def on_digits(
    names: list[str],
    seeds: list[int],
    shares: list[float],
    methods: Sequence[str],
    trained: Trained,
    steps: int,
) -> None:
    """Print points of accuracy relative to the original, before and after recovery."""
    test = digits.dataset(3000, test=True, seed=1)
    found: dict[tuple[str, float, str], list[tuple[float, float]]] = defaultdict(list)
    for name in names:
        for seed in seeds:
            model = trained(name, seed)
            bed = Bed(model, digits.dataset(CALIBRATION_IMAGES, test=False, seed=100 + seed)[0])
            original = accuracy(model, *test)
            print(f"{name}, seed {seed}: {original:.1%}", flush=True)
            for share in shares:
                for method in methods:
                    smaller, recovered = _both(bed, method, share, seed, steps)
                    before, after = (accuracy(m, *test) - original for m in (smaller, recovered))
                    found[name, share, method].append((100 * before, 100 * after))
                    print(
                        f"  {share:g} | {method} | {100 * before:+.1f} | {100 * after:+.1f}"
                        f" | MACs {bed.macs_share(smaller):.3f}",
                        flush=True,
                    )
    print_table(found, names, shares, methods, _cell)


def _both(
    bed: Bed, method: str, share: float, seed: int, steps: int
) -> tuple[nn.Module, nn.Module]:
    """Return a smaller network, and the same after recovery or training from scratch."""
    torch.manual_seed(seed)
    if method == FROM_SCRATCH:
        smaller = METHODS["random"](bed, share)
        return smaller, networks.fit(smaller, seed)
    if method == IN_STAGES:
        return _in_stages(bed, share, seed, steps)
    smaller = METHODS[method](bed, share)
    images, classes = digits.dataset(BATCH * steps, test=False, seed=5000 + seed)
    loader = DataLoader(TensorDataset(images, classes), BATCH)
    recovered, _ = ghostify.recover(
        bed.model,
        smaller,
        loader,
        _settings(seed, _feature_weight(method)),
        example=bed.example,
        validation=_validation(seed),
    )
    return smaller, recovered


def _in_stages(bed: Bed, share: float, seed: int, steps: int) -> tuple[nn.Module, nn.Module]:
    """Convert and train in stages, with the same number of steps in total."""
    smaller = METHODS["planned"](bed, share)
    recovered, _ = ghostify.recover(
        bed.model,
        smaller,
        DataLoader(Fresh(math.ceil(steps / STAGES), 5000 + seed), batch_size=None),
        _settings(seed, FEATURE_WEIGHT),
        example=bed.example,
        validation=_validation(seed),
        stages=STAGES,
        sensitivity=bed.sensitivity,
        calibration=bed.images,
    )
    return smaller, recovered


class Fresh(IterableDataset[tuple[Tensor, Tensor]]):
    """Batches of new digits in every epoch."""

    def __init__(self, batches: int, seed: int) -> None:
        self._batches = batches
        self._generator = torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        return self._batches

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for _ in range(self._batches):
            yield digits.batch(BATCH, test=False, generator=self._generator)


def _settings(seed: int, feature_weight: float) -> ghostify.RecoverySettings:
    return ghostify.RecoverySettings(
        epochs=1,
        optimizer="muon",
        lr=4e-3,
        warmup=0.1,
        ema_decay=0.0,
        alpha=0.3,
        feature_weight=feature_weight,
        seed=seed,
    )


def _validation(seed: int) -> DataLoader[tuple[Tensor, ...]]:
    """Return digits of the training set that decide whether the result is kept."""
    return DataLoader(TensorDataset(*digits.dataset(4000, test=False, seed=9000 + seed)), BATCH)


def on_photographs(
    shares: list[float], methods: Sequence[str], minutes: float, folder: Path
) -> None:
    """Print how closely networks follow EfficientNet-Lite0 on unseen photographs."""
    model = photographs.efficientnet_lite0()
    images, test = (photographs.center_crops(folder / side) for side in SIDES)
    bed = Bed(model, images)
    print("| MACs | method | top-1 / top-5 / KL, nats, before | after | MACs | steps | CPU time |")
    print("|---|---|---|---|---|---|---|")
    for share in shares:
        for method in methods:
            torch.manual_seed(0)
            smaller = METHODS[method](bed, share)
            start = time.process_time()
            recovered, what = ghostify.recover(
                model,
                smaller,
                photographs.Crops(folder / "train", CROPS, EPOCH),
                ghostify.RecoverySettings(minutes=minutes),
                validation=images[::5].split(CROPS),
                example=bed.example,
            )
            seconds = time.process_time() - start
            before, after = (photographs.agreement(model, m, test) for m in (smaller, recovered))
            print(
                f"| {share:g} | {method} | {before} | {after} | {bed.macs_share(smaller):.3f}"
                f" | {what.steps} | {seconds / 60:.1f} min |",
                flush=True,
            )


def _feature_weight(method: str) -> float:
    """Pruned layers differ in shape from the original's."""
    return 0.0 if "pruning" in method.lower() else FEATURE_WEIGHT


def _cell(pairs: list[tuple[float, float]]) -> str:
    return " → ".join(spread([pair[place] for pair in pairs], "+.1f") for place in (0, 1))
