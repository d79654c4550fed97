"""Optimizers and their parameter groups."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from ghostify.types import GhostifyError, RecoverySettings


def make_optimizers(
    parameters: Mapping[str, nn.Parameter], settings: RecoverySettings
) -> list[Optimizer]:
    """Return the optimizers, one or two. Norms and biases have no weight decay."""
    return _MAKERS[settings.optimizer](list(parameters.values()), settings)


def _groups(parameters: list[nn.Parameter], decay: float) -> list[dict[str, Any]]:
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
        raise GhostifyError("`optimizer` (='muon') requires PyTorch 2.9 or newer")
    matrices = [parameter for parameter in parameters if _is_matrix(parameter)]
    others = [parameter for parameter in parameters if not _is_matrix(parameter)]
    found: list[Optimizer] = _adamw(others, settings) if others else []
    return [Muon(matrices, settings), *found] if matrices else found


def _is_matrix(parameter: Tensor) -> bool:
    """Whether a weight has several inputs; depthwise kernels have one."""
    return parameter.dim() > 1 and parameter.shape[1] > 1


class Muon(Optimizer):
    """torch.optim.Muon for weights of any dimensions, each as a matrix of its filters.

    Updates are scaled to the root mean square of AdamW's, so that both share a learning rate.
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
        """Update the weights."""
        group = self.param_groups[0]
        for weight, matrix in zip(group["params"], self._matrices, strict=True):
            matrix.grad = None if weight.grad is None else _matrix(weight.grad)
        self._muon.param_groups[0]["lr"] = group["lr"]
        self._muon.step()  # type: ignore[no-untyped-call]

    def state_dict(self) -> dict[str, Any]:
        """Return the state of torch.optim.Muon."""
        return self._muon.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load the state of torch.optim.Muon."""
        self._muon.load_state_dict(state_dict)


def _matrix(weight: Tensor) -> Tensor:
    """Return a view ``(n, c k k')``, in either memory format."""
    if weight.dim() == 4 and weight.is_contiguous(memory_format=torch.channels_last):
        weight = weight.permute(0, 2, 3, 1)
    return weight.flatten(1)


_MAKERS: dict[str, Callable[[list[nn.Parameter], RecoverySettings], list[Optimizer]]] = {
    "adamw": _adamw,
    "sgd": _sgd,
    "muon": _muon,
}
