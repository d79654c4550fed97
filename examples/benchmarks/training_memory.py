"""Activation memory of training, in bytes, and the time of a step.

    python examples/benchmarks/training_memory.py [--rounds 5] [--size 224] [--batch 4]

Activations are the memory behind all tensors that autograd saves in one forward pass in training
mode. Each byte is counted once; parameters and buffers are excluded. The converted network is
compared with one that uses plain concatenation, and with the Ghost modules of the authors' code,
whose halves have their own norm and activation. On a GPU, the peak of a whole step is printed too.
Each round takes one step of every network; times are relative to plain concatenation.
"""

import argparse
import copy
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from unittest.mock import patch

import torch
import torchvision
from tabulate import tabulate
from torch import Tensor, nn

import ghostify
from ghostify.nn import GhostModule

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def kept_bytes(model: nn.Module, images: Tensor) -> int:
    """Return the bytes of activations that one forward pass keeps."""
    own = {t.untyped_storage().data_ptr() for t in (*model.parameters(), *model.buffers())}
    kept = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        output = model(images)
    del output
    return sum(kept.values())


def step_seconds(model: nn.Module, images: Tensor) -> float:
    start = time.perf_counter()
    model(images).sum().backward()
    if DEVICE == "cuda":
        torch.cuda.synchronize()
    seconds = time.perf_counter() - start
    model.zero_grad()
    return seconds


def peak_bytes(model: nn.Module, images: Tensor) -> int:
    """Return the peak GPU memory of a step above its level before."""
    model.zero_grad()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    step_seconds(model, images)
    return torch.cuda.max_memory_allocated() - before


@contextmanager
def plain_concatenation() -> Iterator[None]:
    with patch("ghostify.nn.ghost_module.is_training_step", lambda x: False):
        yield


def as_in_the_authors_code(model: nn.Module) -> nn.Module:
    """Give both halves of each Ghost module a norm and an activation."""
    for module in model.modules():
        for name, child in module.named_children():
            if isinstance(child, GhostModule):
                new = GhostModule(
                    child.in_channels, child.out_channels, child.kernel_size, child.stride,
                    child.padding, child.dilation, bias=False, ratio=child.ratio,
                    dw_size=child.dw_size, norm=nn.BatchNorm2d, activation=partial(nn.ReLU, True),
                )  # fmt: skip
                setattr(module, name, new)
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=4)
    options = parser.parse_args()
    images = torch.randn(options.batch, 3, options.size, options.size, device=DEVICE)
    for name in ("resnet50", "vgg16_bn"):
        torch.manual_seed(0)
        original = getattr(torchvision.models, name)().to(DEVICE).train()
        networks = [("original", original, nullcontext)]
        for ratio in (2, 4):
            ghost = ghostify.convert(original, images, ratio=ratio, init="random")
            authors = as_in_the_authors_code(copy.deepcopy(ghost)).to(DEVICE)
            networks += [
                (f"s={ratio}", ghost, nullcontext),
                (f"s={ratio}, plain concatenation", ghost, plain_concatenation),
                (f"s={ratio}, as in the authors' code", authors, nullcontext),
            ]
        print_table(name, networks, images, options.rounds)


def print_table(
    name: str,
    networks: list[tuple[str, nn.Module, Callable]],
    images: Tensor,
    rounds: int,
) -> None:
    kept, peaks, times = {}, {}, {label: [] for label, _, _ in networks}
    for label, network, way in networks:
        with way():
            kept[label] = kept_bytes(network, images)
            step_seconds(network, images)
            peaks[label] = peak_bytes(network, images) if DEVICE == "cuda" else 0
    for _ in range(rounds):
        for label, network, way in networks:
            with way():
                times[label].append(step_seconds(network, images))
    plain = {label: f"{label.split(',')[0]}, plain concatenation" for label in kept}
    rows = []
    for label in kept:
        pairs = zip(times[label], times.get(plain[label], times[label]), strict=True)
        row = {
            name: label,
            "activations": f"{kept[label] / 2**20:.1f} MiB",
            "of original": f"{kept[label] / kept['original']:.2f}x",
            "step": f"{statistics.median(times[label]):.2f} s",
            "of plain": f"{statistics.median(own / other for own, other in pairs):.2f}x",
        }
        if DEVICE == "cuda":
            row["peak"] = f"{peaks[label] / peaks['original']:.2f}x"
        rows.append(row)
    print(tabulate(rows, headers="keys"), end="\n\n")


if __name__ == "__main__":
    main()
