"""The tasks: data, network, loss and metric of each; originals are trained once and cached."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from . import networks, pictures

Pairs = tuple[Tensor, Tensor]

TEACHING = 6000
"""Images that the originals are trained on."""


@dataclass(frozen=True)
class Problem:
    """What a network is trained for.

    Attributes:
        data: images and targets, by their number and whether they are for testing.
        loss: of outputs and targets.
        metric: of outputs and targets, in points from 0 to 100; higher is better.
    """

    data: Callable[..., Pairs]
    loss: Callable[[Any, Tensor], Tensor]
    metric: Callable[[Any, Tensor], float]
    unit: str


@dataclass(frozen=True)
class Task:
    """A conversion to recover."""

    name: str
    problem: Problem
    network: Callable[[], nn.Module]
    ratio: int = 2
    calibrated: bool = True

    def original(self, cache: Path, seed: int) -> nn.Module:
        """Return the trained network."""
        torch.manual_seed(seed)
        network = self.network()
        file = (
            cache
            / f"{type(network).__name__}-{sum(p.numel() for p in network.parameters())}-{seed}.pt"
        )
        if file.exists():
            network.load_state_dict(torch.load(file, weights_only=True))
        else:
            fit(network, self.problem.data(TEACHING, test=False, seed=seed), self.problem.loss)
            cache.mkdir(parents=True, exist_ok=True)
            torch.save(network.state_dict(), file)
        return network.eval()


def fit(
    network: nn.Module, data: Pairs, loss: Callable[[Any, Tensor], Tensor], *, epochs: int = 10
) -> None:
    """Train a network from scratch."""
    inputs, targets = data
    batches = -(-len(inputs) // 64)
    optimizer = torch.optim.AdamW(network.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, epochs * batches)
    network.train()
    for _ in range(epochs):
        for chosen in torch.randperm(len(inputs)).split(64):
            loss(network(inputs[chosen]), targets[chosen]).backward()
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()


def _accuracy(logits: Tensor, classes: Tensor) -> float:
    return 100 * float((logits.argmax(1) == classes).float().mean())


def _within_three_pixels(found: Tensor, corners: Tensor) -> float:
    distance = (found - corners).norm(dim=2) * pictures.SIDE / 2
    return 100 * float((distance < 3).float().mean())


def _mean_iou(logits: Tensor, labels: Tensor) -> float:
    found = logits.argmax(1)
    ratios = [
        ((found == c) & (labels == c)).sum() / ((found == c) | (labels == c)).sum()
        for c in range(logits.shape[1])
    ]
    return 100 * float(torch.stack(ratios).mean())


def _detection_loss(found: dict[str, Tensor], target: Tensor) -> Tensor:
    is_center = target[:, :2].amax(1, keepdim=True)
    centers = F.binary_cross_entropy_with_logits(
        found["centers"], target[:, :2], pos_weight=torch.tensor(8.0)
    )
    errors = F.smooth_l1_loss(found["boxes"], target[:, 2:], reduction="none") * is_center
    return centers + errors.sum((1, 2, 3)).mean() / 4


def _detected(found: dict[str, Tensor], target: Tensor) -> float:
    """Share of pictures whose best box is of the right class, with an IoU of at least 0.5."""
    labels, boxes = _best_boxes(found["centers"], found["boxes"])
    true_labels, true_boxes = _best_boxes(target[:, :2], target[:, 2:])
    low = torch.maximum(boxes[:, :2], true_boxes[:, :2])
    high = torch.minimum(boxes[:, 2:], true_boxes[:, 2:])
    common = (high - low).clamp(min=0).prod(1)
    areas = [(b[:, 2:] - b[:, :2]).clamp(min=0).prod(1) for b in (boxes, true_boxes)]
    right = (labels == true_labels) & (common / (sum(areas) - common) >= 0.5)
    return 100 * float(right.float().mean())


def _best_boxes(centers: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Return the class of the best cell and the corners of its box, in cells."""
    cells = centers.shape[3]
    best = centers.flatten(1).argmax(1)
    cell = best % cells**2
    x, y, width, height = boxes.flatten(2)[torch.arange(len(cell)), :, cell].unbind(1)
    x, y = x + cell % cells, y + cell // cells
    corners = [x - width / 2, y - height / 2, x + width / 2, y + height / 2]
    return best // cells**2, torch.stack(corners, 1)


DIGITS = Problem(pictures.digits, F.cross_entropy, _accuracy, "accuracy")
TRIANGLES = Problem(pictures.triangles, F.mse_loss, _within_three_pixels, "corners within 3 px")
SHAPES = Problem(pictures.shapes, F.cross_entropy, _mean_iou, "mean IoU")
BOXES = Problem(pictures.boxes, _detection_loss, _detected, "boxes at IoU 0.5")


def _resnet() -> nn.Module:
    return networks.resnet(1, 10)


def _vgg() -> nn.Module:
    return networks.vgg(1, 10)


def _mobilenet() -> nn.Module:
    return networks.mobilenet(1, 10)


TASKS = (
    Task("ResNet, s = 2", DIGITS, _resnet),
    Task("ResNet, s = 4", DIGITS, _resnet, 4),
    Task("ResNet, s = 2, not calibrated", DIGITS, _resnet, calibrated=False),
    Task("VGG, s = 4", DIGITS, _vgg, 4),
    Task("MobileNet, s = 2", DIGITS, _mobilenet),
    Task("landmarks, s = 2", TRIANGLES, networks.Landmarks),
    Task("segmenter, s = 4", SHAPES, networks.Segmenter, 4),
    Task("detector, s = 2", BOXES, networks.Detector),
)
