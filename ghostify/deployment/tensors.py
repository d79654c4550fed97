"""The tensors in an example or an output, and the batch size of an example."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map_only

from ghostify.types import Example


def tensors_of(values: object) -> list[Tensor]:
    """Return the tensors of nested containers in order."""
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]


def replace_tensors(values: Any, tensors: Sequence[Tensor]) -> Any:
    """Return nested containers with other tensors in place of their own, in order."""
    left = iter(tensors)
    return tree_map_only(Tensor, lambda _: next(left), values)


def batch_size(example: Example) -> int | None:
    """Return the length of the first tensor that has a dimension, or None."""
    return next((len(tensor) for tensor in tensors_of(example) if tensor.dim()), None)


def resize_batch(example: Example, size: int) -> Example:
    """Repeat or cut the example to ``size`` inputs; its tensors are copied."""
    old = batch_size(example)

    def resize(tensor: Tensor) -> Tensor:
        if not tensor.dim() or len(tensor) != old:
            return tensor.clone()
        return tensor.repeat(-(-size // old), *[1] * (tensor.dim() - 1))[:size].clone()

    return tree_map_only(Tensor, resize, example)
