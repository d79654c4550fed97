"""Divergence between the probabilities of two networks."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ghostify.types.outputs import Output

_SMALLEST = 1e-7
"""Smallest probability that has a logit."""


def logits_of(values: Tensor, output: Output) -> Tensor:
    """Return logits ``(B, size, ...)`` of outputs that may be probabilities."""
    values = values[:, None] if values.dim() == 1 else values
    if not output.probabilities:
        return values
    if output.kind == "classes":
        return values.clamp_min(_SMALLEST).log()
    return values.clamp(_SMALLEST, 1 - _SMALLEST).logit()


def divergence(logits: Tensor, taught: Tensor, kind: str, temperature: float = 1) -> Tensor:
    """Return the KL divergence from the teacher's probabilities, in nats, at each position.

    That of labels is the sum over all labels. With a temperature, both are softened, and the
    divergence is multiplied by its square, so that gradients do not depend on it (Hinton et al.,
    arXiv 1503.02531, section 2).

    Args:
        logits: ``(B, size, ...)``, the student's.
        taught: ``(B, size, ...)``, the teacher's. Classes at minus infinity are ignored.

    Returns:
        ``(B, ...)``.
    """
    own, taught = logits / temperature, taught / temperature
    if kind == "classes":
        log_p, log_q = taught.log_softmax(1), own.log_softmax(1)
        p = log_p.exp()
        terms = torch.where(p == 0, 0.0, p * (log_p - log_q))
    else:
        pairs = ((taught.sigmoid(), taught, own), ((-taught).sigmoid(), -taught, -own))
        terms = torch.stack([p * (F.logsigmoid(a) - F.logsigmoid(b)) for p, a, b in pairs]).sum(0)
    return terms.sum(1) * temperature**2


def decisions(logits: Tensor, kind: str) -> Tensor:
    """Return the most likely class ``(B, ...)``, or whether each label is likely."""
    return logits.argmax(1) if kind == "classes" else logits > 0
