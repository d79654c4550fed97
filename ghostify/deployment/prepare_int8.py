"""Rewrite BatchNorms of an exported graph, which ONNX Runtime would compute in float32."""

from __future__ import annotations

from typing import Any

import torch
from torch.export import ExportedProgram
from torch.fx import Node

from ghostify.deployment.sink_concats import insert_call

_aten = torch.ops.aten


@torch.no_grad()
def prepare_int8(program: ExportedProgram) -> None:
    """Rewrite the graph of ``program``, exported in evaluation mode, in place.

    A BatchNorm of feature maps becomes a 1x1 depthwise convolution, which runtimes run in INT8.
    """
    graph = program.graph_module.graph
    for node in list(graph.nodes):
        if node.target is _aten.batch_norm.default and node.meta["val"].dim() == 4:
            with graph.inserting_before(node):
                _convolve(node)
    graph.eliminate_dead_code()
    program.graph_module.recompile()


def _convolve(norm: Node) -> None:
    """Turn a BatchNorm into a depthwise convolution; exporters fold its parameters."""
    arguments: Any = norm.args
    x, weight, bias, mean, variance, _, _, eps, _ = arguments
    channels = int(norm.meta["val"].shape[1])

    def call(target: Any, *args: Any) -> Node:
        return insert_call(norm, target, args)

    scale = call(_aten.rsqrt.default, call(_aten.add.Tensor, variance, eps))
    if weight is not None:
        scale = call(_aten.mul.Tensor, scale, weight)
    shift = call(_aten.neg.default, call(_aten.mul.Tensor, mean, scale))
    if bias is not None:
        shift = call(_aten.add.Tensor, shift, bias)
    kernel = call(_aten.reshape.default, scale, [channels, 1, 1, 1])
    norm.target = _aten.conv2d.default
    norm.args, norm.kwargs = (x, kernel, shift, [1, 1], [0, 0], [1, 1], channels), {}
