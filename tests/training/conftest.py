"""A small network and its data, also for tests that run in processes of their own."""

from __future__ import annotations

import signal

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import ghostify
from ghostify import Plan
from ghostify.types import Decision


class Network(nn.Module):
    """Two convolutions with a batch norm, one without; a residual sum; five classes."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.conv = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.last = nn.Conv2d(8, 16, 3, padding=1)
        self.head = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x).relu()
        x = (x + self.norm(self.conv(x))).relu()
        return self.head(self.last(x).relu().mean((2, 3)))


class Chain(nn.Module):
    """Feature maps that only the next layer reads; flattened, and changed in place."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, stride=2, groups=8)
        self.last = nn.Conv2d(8, 4, 3, padding=1)
        self.head = nn.Linear(64, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.first(x)).relu_()
        x = self.last(self.depthwise(x)).relu_()
        return self.head(x.flatten(1))


def trained() -> Network:
    """One whose batch norm has seen images, and which tells classes apart."""
    torch.manual_seed(0)
    network = Network()
    with torch.no_grad():
        for _ in range(5):
            network(torch.randn(16, 3, 8, 8))
        network.head.weight.mul_(20).sub_(network.head.weight.mean(0))
        network.head.bias.sub_(network.eval()(torch.randn(64, 3, 8, 8)).mean(0))
    return network.eval()


def images(number: int, seed: int = 1) -> Tensor:
    """``(number, 3, 8, 8)``."""
    return torch.randn(number, 3, 8, 8, generator=torch.Generator().manual_seed(seed))


def converted(network: nn.Module) -> nn.Module:
    """At s = 2, from the filters alone."""
    return ghostify.convert(network, images(1), ratio=2)


def loader(network: nn.Module, number: int = 48, *, shuffle: bool = True) -> DataLoader:
    """Images in batches of 16, with the network's own classes for labels."""
    inputs = images(number)
    with torch.no_grad():
        return DataLoader(
            TensorDataset(inputs, network(inputs).argmax(1)), batch_size=16, shuffle=shuffle
        )


class Interrupted:
    """Batches that send a signal along with one of them."""

    def __init__(self, batches, number):
        self.batches, self.number = batches, number

    def __len__(self):
        return len(self.batches)

    def __iter__(self):
        for batch in self.batches:
            self.number -= 1
            if self.number == 0:
                signal.raise_signal(signal.SIGINT)
            yield batch


@pytest.fixture
def interrupted():
    return Interrupted


@pytest.fixture
def teacher():
    return trained()


KEPT = {"first": (0, 2, 3, 5, 7), "last": (0, 1, 3)}


@pytest.fixture
def narrowed():
    """A trained `Chain` that does not use some channels, and one without them."""
    torch.manual_seed(0)
    teacher = Chain()
    with torch.no_grad():
        for _ in range(5):
            teacher(torch.randn(16, 3, 8, 8))
        teacher.last.weight[:, [1, 4, 6]] = 0
        teacher.head.weight.mul_(20).view(5, 4, 16)[:, 2] = 0
    teacher.eval()
    sites = {site.name: site for site in ghostify.analyze(teacher, images(1))}
    plan = Plan(
        tuple(
            Decision(sites[name], keep="pruned", width=len(kept), channels=kept)
            for name, kept in KEPT.items()
        )
    )
    return teacher, ghostify.convert(teacher, images(1), plan=plan, progress=False)


@pytest.fixture
def student(teacher):
    return converted(teacher)


@pytest.fixture
def data(teacher):
    """Three batches of 16, drawn in another order in each epoch."""
    return loader(teacher)
