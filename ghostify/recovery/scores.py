"""How good a network is on images that it has not learnt from."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from ghostify.recovery.losses import are_logits, numbers
from ghostify.spec import Example, split_example

Batch = tuple[Example, Tensor | None]


@torch.no_grad()
def score(
    model: nn.Module,
    teacher: nn.Module,
    batches: Iterable[Batch],
    summed: Callable[[Tensor], Tensor],
) -> dict[str, float]:
    """Scores by name, all shares from 0 to 1.

    ``top1`` and ``top5`` with labels; ``agreement``, the share of images whose most likely class
    is the teacher's; ``relative_error``, the squared error of all outputs over their square.

    Args:
        summed: adds up totals over processes.
    """
    totals = torch.zeros(7, dtype=torch.float64)
    for inputs, labels in batches:
        args, kwargs = split_example(inputs)
        taught, found = numbers(teacher(*args, **kwargs)), numbers(model(*args, **kwargs))
        own = torch.zeros(7, dtype=torch.float64)
        for wanted, given in zip(taught, found, strict=False):
            if wanted.shape == given.shape:
                known = wanted.isfinite()
                own[0] += (wanted - given)[known].double().square().sum().cpu()
                own[1] += wanted[known].double().square().sum().cpu()
        if are_logits(taught) and are_logits(found):
            first = found[0].argmax(1)
            own[2] += len(first)
            own[3] += (first == taught[0].argmax(1)).sum().cpu()
            if labels is not None:
                likeliest = found[0].topk(min(5, found[0].shape[1]), 1).indices
                own[4] += len(first)
                own[5] += (first == labels).sum().cpu()
                own[6] += (likeliest == labels[:, None]).any(1).sum().cpu()
        totals += own
    wrong, norm, images, agreeing, labelled, right, near = summed(totals).tolist()
    scores: dict[str, float] = {}
    if labelled:
        scores |= {"top1": right / labelled, "top5": near / labelled}
    if images:
        scores["agreement"] = agreeing / images
    if norm:
        scores["relative_error"] = wrong / norm
    return scores


def rank(scores: dict[str, float]) -> tuple[float, float]:
    """What tells the better of two networks, by the first number and then by the second."""
    share = next((scores[name] for name in ("top1", "agreement") if name in scores), 0.0)
    return share, -scores.get("relative_error", 0.0)
