"""How far a student is from its teacher, and from the labels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ghostify.tally import is_logits

_FLAT, _TINY = 1e-4, 1e-12
"""The least that a variance is taken for: of the mean square, and in all."""


def are_logits(outputs: Sequence[Tensor]) -> bool:
    """Whether an output is one tensor ``(B, classes)``."""
    return len(outputs) == 1 and is_logits(outputs[0])


def divergence(logits: Tensor, taught: Tensor, temperature: float) -> Tensor:
    """Kullback-Leibler divergence from the teacher's softened probabilities, in nats an image.

    Times the square of the temperature, so that its gradients are of one size for all
    temperatures (Hinton et al., arXiv 1503.02531, section 2).

    Args:
        logits: ``(B, classes)``.
        taught: ``(B, classes)``, the teacher's.
    """
    log_p = (taught.float() / temperature).log_softmax(1)
    log_q = (logits.float() / temperature).log_softmax(1)
    possible = log_p != -torch.inf  # a class that is ruled out counts nothing
    terms = torch.where(possible, log_p.exp() * (log_p - log_q), 0.0)
    return terms.sum(1).mean() * temperature**2


def scale_of(tensor: Tensor) -> float:
    """What errors in such a tensor are divided by: its variance, each channel around its mean.

    Channels are dimension 1. Infinite where there is nothing, so that it will not count.
    """
    values = tensor.float()
    if not values.numel():
        return float("inf")
    others = [dimension for dimension in range(values.dim()) if dimension != 1] or None
    variance = (values - values.mean(others, keepdim=True)).square().mean()
    return max(float(variance), _FLAT * float(values.square().mean()), _TINY)


def relative_errors(
    found: Sequence[Tensor], wanted: Sequence[Tensor], scales: Sequence[float]
) -> Tensor:
    """Mean over tensors of the squared error over its scale.

    Pairs of other shapes, such as boxes that only one network has found, do not count.
    """
    errors = [
        F.mse_loss(a.float(), b.float()) / scale
        for a, b, scale in zip(found, wanted, scales, strict=False)
        if a.shape == b.shape and a.numel()
    ]
    return torch.stack(errors).mean() if errors else torch.zeros(())
