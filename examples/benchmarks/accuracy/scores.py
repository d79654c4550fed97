"""What a network is worth, and how that is printed."""

from __future__ import annotations

import statistics

import torch
from torch import Tensor, nn


@torch.no_grad()
def accuracy(model: nn.Module, images: Tensor, classes: Tensor) -> float:
    """The share of images whose most likely class is the right one."""
    model.eval()
    found = torch.cat([model(batch).argmax(1) for batch in images.split(500)])
    return float((found == classes).float().mean())


def spread(values: list[float], form: str = ".1%") -> str:
    """Mean and standard deviation."""
    if len(values) < 2:
        return f"{values[0]:{form}}"
    return f"{statistics.mean(values):{form}} ± {statistics.stdev(values):{form.replace('+', '')}}"
