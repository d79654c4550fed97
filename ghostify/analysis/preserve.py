"""Context managers that restore random number generators, precision and the modes of modules."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn


@contextmanager
def preserve_rng() -> Iterator[None]:
    """Restore the random state of Python, NumPy and torch, on every device, after the block."""
    numpy = sys.modules.get("numpy")
    python_state = random.getstate()
    numpy_state = numpy.random.get_state() if numpy else None
    try:
        with torch.random.fork_rng(range(torch.cuda.device_count())):
            yield
    finally:
        random.setstate(python_state)
        if numpy:
            numpy.random.set_state(numpy_state)


@contextmanager
def exact_float32() -> Iterator[None]:
    """Keep a GPU from rounding the inputs of convolutions and matrix products to TF32.

    Convolutions do by default. Their errors of 0.1 % are above what folds and fits are checked for.
    """
    conv = getattr(torch.backends.cudnn, "conv", None)  # from PyTorch 2.9 on
    places: list[Any] = [conv or torch.backends.cudnn, torch.backends.cuda.matmul]
    name, exact = ("fp32_precision", "ieee") if conv else ("allow_tf32", False)
    before = [getattr(place, name) for place in places]
    try:
        for place in places:
            setattr(place, name, exact)
        yield
    finally:
        for place, value in zip(places, before, strict=True):
            setattr(place, name, value)


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """Put ``model`` in evaluation mode for the block, then restore each module's own mode."""
    modes = {module: module.training for module in model.modules()}
    try:
        model.eval()
        yield
    finally:
        for module, training in modes.items():
            module.training = training
