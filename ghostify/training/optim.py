"""Optimizers and their parameter groups."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from ghostify.types import GhostifyError, RecoverySettings


def check_optimizer(name: str) -> None:
    """Check that the installed PyTorch has an optimizer."""
    if name == "muon" and not hasattr(torch.optim, "Muon"):
        raise GhostifyError(
            f"`optimizer` (='muon') requires PyTorch 2.9 or newer, not {torch.__version__}: update "
            "it, or choose adamw"
        )


def make_optimizers(
    parameters: Iterable[nn.Parameter], settings: RecoverySettings
) -> list[Optimizer]:
    """Return the optimizers, one or two. Norms and biases have no weight decay.

    The trainer sets the learning rate of each step.
    """
    matrices, others = [], list(parameters)
    if settings.optimizer == "muon":  # depthwise kernels have one input: they are no matrices
        matrices = [p for p in others if p.dim() > 1 and p.shape[1] > 1]
        others = [p for p in others if p.dim() <= 1 or p.shape[1] <= 1]
    decays = [(settings.weight_decay, [p for p in others if p.dim() > 1])]
    decays += [(0.0, [p for p in others if p.dim() <= 1])]
    groups = [{"params": own, "weight_decay": decay} for decay, own in decays if own]
    found: list[Optimizer] = [Muon(matrices, settings)] if matrices else []
    if settings.optimizer == "sgd":
        momentum = settings.momentum
        found += [SGD(groups, lr=0.0, momentum=momentum, nesterov=momentum > 0)]
    elif groups:
        found += [AdamW(groups, lr=0.0)]
    return found


class Muon(Optimizer):
    """torch.optim.Muon for weights of any dimensions, each as a matrix of its filters.

    Updates are scaled to the root mean square of AdamW's, so that both share a learning rate.
    """

    def __init__(self, weights: list[nn.Parameter], settings: RecoverySettings) -> None:
        super().__init__(weights, {"lr": 0.0})
        self._matrices = [nn.Parameter(_matrix(weight.detach())) for weight in weights]
        self._muon = torch.optim.Muon(
            self._matrices,
            lr=0.0,
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
