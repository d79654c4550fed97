"""A network as one graph, by torch.export."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram, ShapesCollection
from torch.utils._pytree import tree_leaves, tree_map_only

from ghostify.spec import Example, split_example


def captured(network: nn.Module, example: Example, *, any_batch: bool) -> ExportedProgram:
    """The graph of ``network`` in evaluation mode.

    Args:
        any_batch: leave the size of the batch open, instead of the example's.
    """
    shapes = ShapesCollection()  # type: ignore[no-untyped-call]
    if any_batch:
        example = batch_of(example, 2)  # a size of 1 would be taken for a constant
        batch = Dim("batch", min=1)
        for tensor in tensors_of(example):
            if tensor.dim() and len(tensor) == 2:
                shapes[tensor] = {0: batch}
    args, kwargs = split_example(example)
    with torch.no_grad():
        return torch.export.export(network, args, kwargs, dynamic_shapes=shapes, strict=False)


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
