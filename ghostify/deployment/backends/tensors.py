"""The tensors that an example or an output holds, at whatever depth."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map_only

from ghostify.types import Example


def tensors_of(values: object) -> list[Tensor]:
    """The tensors in an example or in an output, in order."""
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]


def batch_size(example: Example) -> int | None:
    """The length of the first tensor, or None where there is none that has one."""
    return next((len(tensor) for tensor in tensors_of(example) if tensor.dim()), None)


def batch_of(example: Example, size: int) -> Example:
    """The example repeated, or cut, to ``size`` inputs; each tensor apart from all others."""
    old = batch_size(example)

    def resized(tensor: Tensor) -> Tensor:
        if not tensor.dim() or len(tensor) != old:
            return tensor.clone()
        return tensor.repeat(-(-size // old), *[1] * (tensor.dim() - 1))[:size].clone()

    return tree_map_only(Tensor, resized, example)


def refilled(example: Example, tensors: Sequence[Tensor]) -> Example:
    """The example with these tensors in place of its own, in order."""
    left = iter(tensors)
    return tree_map_only(Tensor, lambda _: next(left), example)
