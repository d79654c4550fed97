"""How far two networks give the same outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from ghostify.calibration import images_in
from ghostify.replica import frozen_replica
from ghostify.spec import Agreement, Example, split_example


@torch.no_grad()
def agreement(
    model: nn.Module, converted: nn.Module, batches: Sequence[Example]
) -> Agreement | None:
    """Run both in evaluation mode on the same images, and compare what they give.

    Outputs ``(B, classes)`` are taken for logits. All floating-point outputs of the same shape
    count for the relative error; others, such as boxes that only one network has found, do not.

    Returns:
        None if there is nothing to compare.
    """
    twins = frozen_replica(model), frozen_replica(converted)
    wrong = norm = agreeing = divergence = 0.0
    images = 0
    for batch in batches:
        args, kwargs = split_example(batch)
        given = [_numbers(twin(*args, **kwargs)) for twin in twins]
        for expected, found in zip(*given, strict=False):
            if expected.shape != found.shape:
                continue
            known = expected.isfinite()  # logits of classes that are ruled out are not
            wrong += float((expected - found)[known].double().square().sum())
            norm += float(expected[known].double().square().sum())
        first, second = (outputs[0] if outputs else torch.empty(0) for outputs in given)
        if _are_logits(first) and first.shape == second.shape:
            images += len(first)
            agreeing += float((first.argmax(1) == second.argmax(1)).sum())
            log_p, log_q = first.double().log_softmax(1), second.double().log_softmax(1)
            possible = log_p.exp() > 0
            divergence += float((log_p.exp() * (log_p - log_q))[possible].sum())
    if norm == 0:
        return None
    total = sum(map(images_in, batches))
    logits = images == total
    return Agreement(
        images=total,
        relative_error=wrong / norm,
        top1=agreeing / images if logits else None,
        kl=divergence / images if logits else None,
    )


def _numbers(output: Any) -> list[Tensor]:
    leaves = tree_leaves(output)
    return [leaf for leaf in leaves if isinstance(leaf, Tensor) and leaf.is_floating_point()]


def _are_logits(output: Tensor) -> bool:
    return output.dim() == 2 and output.shape[1] > 1
