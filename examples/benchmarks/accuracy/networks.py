"""The networks of the digits task, and their training."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from . import digits


class Block(nn.Module):
    """Two 3x3 convolutions with a shortcut (He et al., arXiv 1512.03385, section 4.2)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.stride, self.growth = stride, outputs - inputs

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        shortcut = F.pad(x[..., :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.growth))
        return F.relu(y + shortcut)


class ResNet20(nn.Module):
    """The CIFAR network of 20 layers, widths 16, 32 and 64, with shortcuts without parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        widths = [16] * 4 + [32] * 3 + [64] * 3
        self.blocks = nn.Sequential(*(Block(a, b, 1 if a == b else 2) for a, b in pairwise(widths)))
        self.fc = nn.Linear(64, digits.CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(F.relu(self.bn1(self.conv1(x))))
        return self.fc(x.mean((2, 3)))


class VGG16(nn.Module):
    """VGG-16 with BatchNorm at a quarter of its width, with a single linear layer."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 1
        for stage, (width, depth) in enumerate([(16, 2), (32, 2), (64, 3), (128, 3), (128, 3)]):
            layers += [nn.MaxPool2d(2)] if 0 < stage < 4 else []
            for _ in range(depth):
                layers += [
                    nn.Conv2d(inputs, width, 3, padding=1, bias=False),
                    nn.BatchNorm2d(width),
                    nn.ReLU(inplace=True),
                ]
                inputs = width
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(inputs, digits.CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).mean((2, 3)))


NETWORKS: dict[str, Callable[[], nn.Module]] = {"ResNet-20": ResNet20, "VGG-16": VGG16}


def train(name: str, seed: int) -> nn.Module:
    """Train a network from scratch; some minutes on two cores."""
    torch.manual_seed(seed)
    return fit(NETWORKS[name](), seed)


def fit(model: nn.Module, seed: int, *, steps: int = 1500, size: int = 96) -> nn.Module:
    """Train a network's random weights on freshly drawn images."""
    generator = torch.Generator().manual_seed(seed)
    model = model.train().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=4e-3, total_steps=steps, pct_start=0.15
    )
    for step in range(steps):
        images, classes = digits.batch(size, test=False, generator=generator)
        loss = F.cross_entropy(model(images), classes)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 100 == 99:
            print(f"    step {step + 1} of {steps}, loss {loss:.3f}", flush=True)
    return model.eval()


Trained = Callable[[str, int], nn.Module]
"""Returns the network of a name and seed."""


def trained(name: str, seed: int, cache: Path) -> nn.Module:
    """Return a trained network from the cache, or train it."""
    file = cache / f"{name}-{seed}.pt"
    if not file.exists():
        print(f"  {name}, seed {seed}:", flush=True)
        model = train(name, seed)
        cache.mkdir(parents=True, exist_ok=True)
        torch.save(model.state_dict(), file)
    model = NETWORKS[name]()
    model.load_state_dict(torch.load(file, weights_only=True))
    return model.eval()
