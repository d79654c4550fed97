"""Accuracy, and tables of it."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

Found = TypeVar("Found")


@torch.no_grad()
def accuracy(model: nn.Module, images: Tensor, classes: Tensor) -> float:
    """Return the top-1 accuracy, 0 to 1."""
    model.eval()
    found = torch.cat([model(batch).argmax(1) for batch in images.split(500)])
    return float((found == classes).float().mean())


def spread(values: list[float], form: str = ".1%") -> str:
    """Format mean and standard deviation."""
    if len(values) < 2:
        return f"{values[0]:{form}}"
    return f"{statistics.mean(values):{form}} ± {statistics.stdev(values):{form.replace('+', '')}}"


def print_table(
    found: Mapping[tuple[str, float, str], Found],
    names: Sequence[str],
    shares: Sequence[float],
    methods: Sequence[str],
    cell: Callable[[Found], str],
) -> None:
    """Print a row for each method and a column for each network and share of the MACs."""
    print(f"\n| method | {' | '.join(f'{n}, {s:g}' for n in names for s in shares)} |")
    print("|---|" + "---|" * (len(names) * len(shares)))
    for method in methods:
        cells = [cell(found[name, share, method]) for name in names for share in shares]
        print(f"| {method} | {' | '.join(cells)} |")
