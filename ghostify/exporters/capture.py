"""A network as one graph, by torch.export."""

from __future__ import annotations

import torch
from torch import nn
from torch.export import Dim, ExportedProgram, ShapesCollection

from ghostify.exporters.tensors import batch_of, tensors_of
from ghostify.layers.parts import kept_apart, whole
from ghostify.spec import Example, split_example


def captured(network: nn.Module, example: Example, *, any_batch: bool) -> ExportedProgram:
    """The graph of ``network`` in evaluation mode.

    Args:
        network: a copy that nothing else uses.
        any_batch: leave the size of the batch open, instead of the example's.
    """
    shapes = ShapesCollection()  # type: ignore[no-untyped-call]
    if any_batch:
        example = batch_of(example, 2)  # a size of 1 would be taken for a constant
        batch = Dim("batch", min=1)
        for tensor in tensors_of(example):
            if tensor.dim() and len(tensor) == 2:
                shapes[tensor] = {0: batch}
    network.register_forward_hook(lambda _, __, output: whole(output))
    args, kwargs = split_example(example)
    with torch.no_grad(), kept_apart():
        return torch.export.export(network, args, kwargs, dynamic_shapes=shapes, strict=False)
