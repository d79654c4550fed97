"""Optimizers, and which parameters decay."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from ghostify.training.objectives import EndToEnd, Local
from ghostify.types import GhostifyError, RecoverySettings


@dataclass(frozen=True)
class Budget:
    """What a training may take: whichever ends first.

    Attributes:
        steps: of the optimizer; None for any number.
        seconds: of training; None for any.
    """

    steps: int | None
    seconds: float | None

    def spent(self, steps: float, seconds: float) -> float:
        """The share that is spent, from 0 to 1."""
        shares = [0.0]
        shares += [steps / self.steps] if self.steps else []
        shares += [seconds / self.seconds] if self.seconds else []
        return min(max(shares), 1.0)


def stage_at(spent: float, settings: RecoverySettings) -> tuple[str, float]:
    """The name of the stage that a training is in, and the share of it that is spent."""
    if spent < settings.layerwise_fraction:
        return Local.name, spent / settings.layerwise_fraction
    rest = 1 - settings.layerwise_fraction
    return EndToEnd.name, (spent - settings.layerwise_fraction) / rest if rest else 1.0


def rate_at(share: float, settings: RecoverySettings) -> float:
    """The learning rate after a share of a stage: a rise from nought, then half a cosine."""
    if share < settings.warmup:
        return settings.peak_lr * share / settings.warmup
    after = (share - settings.warmup) / max(1 - settings.warmup, 1e-12)
    return settings.peak_lr * (1 + math.cos(math.pi * min(after, 1.0))) / 2


Groups = list[dict[str, Any]]


def make_optimizers(
    parameters: Mapping[str, nn.Parameter], settings: RecoverySettings
) -> list[Optimizer]:
    """The optimizers of a stage, one or two; norms and biases do not decay."""
    return _MAKERS[settings.optimizer](list(parameters.values()), settings)


def set_rate(optimizers: list[Optimizer], rate: float) -> None:
    """Give all the same learning rate."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate


def _groups(parameters: list[nn.Parameter], decay: float) -> Groups:
    weights = [parameter for parameter in parameters if parameter.dim() > 1]
    others = [parameter for parameter in parameters if parameter.dim() <= 1]
    groups = [(weights, decay), (others, 0.0)]
    return [{"params": own, "weight_decay": number} for own, number in groups if own]


def _adamw(parameters: list[nn.Parameter], settings: RecoverySettings) -> list[Optimizer]:
    return [AdamW(_groups(parameters, settings.weight_decay), lr=settings.peak_lr)]


def _sgd(parameters: list[nn.Parameter], settings: RecoverySettings) -> list[Optimizer]:
    groups = _groups(parameters, settings.weight_decay)
    momentum = settings.momentum
    return [SGD(groups, lr=settings.peak_lr, momentum=momentum, nesterov=momentum > 0)]


def _muon(parameters: list[nn.Parameter], settings: RecoverySettings) -> list[Optimizer]:
    if not hasattr(torch.optim, "Muon"):
        raise GhostifyError("optimizer 'muon' needs PyTorch 2.9 or newer")
    matrices = [parameter for parameter in parameters if _is_matrix(parameter)]
    others = [parameter for parameter in parameters if not _is_matrix(parameter)]
    found: list[Optimizer] = _adamw(others, settings) if others else []
    return [Muon(matrices, settings), *found] if matrices else found


def _is_matrix(parameter: Tensor) -> bool:
    """Whether it maps many inputs to many outputs; a depthwise kernel has one input."""
    return parameter.dim() > 1 and parameter.shape[1] > 1


class Muon(Optimizer):
    """torch.optim.Muon for weights of any dimensions, each as a matrix of its filters.

    Steps are as large as AdamW's are, by root mean square, so that both have one rate.
    """

    def __init__(self, weights: list[nn.Parameter], settings: RecoverySettings) -> None:
        super().__init__(weights, {"lr": settings.peak_lr})
        self._matrices = [nn.Parameter(_matrix(weight.detach())) for weight in weights]
        self._muon = torch.optim.Muon(
            self._matrices,
            lr=settings.peak_lr,
            weight_decay=settings.weight_decay,
            adjust_lr_fn="match_rms_adamw",
        )

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One step, at the rate of the group."""
        group = self.param_groups[0]
        for weight, matrix in zip(group["params"], self._matrices, strict=True):
            matrix.grad = None if weight.grad is None else _matrix(weight.grad)
        self._muon.param_groups[0]["lr"] = group["lr"]
        self._muon.step()  # type: ignore[no-untyped-call]

    def state_dict(self) -> dict[str, Any]:
        """That of torch.optim.Muon."""
        return self._muon.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Read what `state_dict` gave."""
        self._muon.load_state_dict(state_dict)


def _matrix(weight: Tensor) -> Tensor:
    """``(n, c k k')``, the same memory in either memory format."""
    if weight.dim() == 4 and weight.is_contiguous(memory_format=torch.channels_last):
        weight = weight.permute(0, 2, 3, 1)
    return weight.flatten(1)


_MAKERS: dict[str, Callable[[list[nn.Parameter], RecoverySettings], list[Optimizer]]] = {
    "adamw": _adamw,
    "sgd": _sgd,
    "muon": _muon,
}
