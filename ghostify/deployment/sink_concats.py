"""Sink the concatenations of Ghost modules below the operations that read them.

``relu(cat(a, b))`` becomes ``cat(relu(a), relu(b))``, and a convolution of ``cat(a, b)`` becomes
the sum of a convolution of ``a`` and one of ``b``. Runtimes fuse these activations and sums into
the convolutions before them, and most concatenations are gone.
"""

from __future__ import annotations

from functools import reduce
from itertools import accumulate
from typing import Any

import torch
from torch.export import ExportedProgram
from torch.fx import Node
from torch.fx.node import map_arg

from ghostify.analysis.channelwise_ops import is_channelwise, out_of_place
from ghostify.nn import DeployedGhostModule

_aten = torch.ops.aten
_GHOST = f"{DeployedGhostModule.__module__}.{DeployedGhostModule.__qualname__}"


@torch.no_grad()
def sink_concats(program: ExportedProgram, *, below_convolutions: bool = True) -> None:
    """Rewrite the graph of ``program``, exported in evaluation mode, in place.

    Concatenations in deployed Ghost modules sink; those of the network itself stay. An operation
    that needs all channels at once, such as ``softmax``, reads a concatenation as before.

    Args:
        program: the exported graph.
        below_convolutions: whether a convolution of a concatenation becomes a sum of convolutions.
    """
    graph = program.graph_module.graph
    concats = {node for node in graph.nodes if _is_ghost_concat(node)}
    for node in list(graph.nodes):
        read = [source for source in node.all_input_nodes if source in concats]
        if not read or any(map(_may_be_written, read)):
            continue
        with graph.inserting_before(node):
            if _is_convolution(node) and _groups(node) == 1 and node.args[0] in concats:
                if below_convolutions:
                    _convolve_parts(node)
            elif _sink_below(node, read[0], concats) and _is_large(node):
                concats.add(node)
    graph.eliminate_dead_code()
    program.graph_module.recompile()


def _is_ghost_concat(node: Node) -> bool:
    if node.target is not _aten.cat.default or not _is_large(node):
        return False
    *_, (_, innermost) = node.meta["nn_module_stack"].values()
    return bool(innermost == _GHOST)


def _is_large(node: Node) -> bool:
    """Whether there is more than one number per channel; else one concatenation is cheapest."""
    shape = _shape(node)
    return len(shape) == 4 and shape[2:] != (1, 1)


def _may_be_written(source: Node) -> bool:
    """Whether one reader may write what another one reads, in place or through a view."""
    return len(source.users) > 1 and any(_aliases(reader, source) for reader in source.users)


def _aliases(reader: Node, source: Node) -> bool:
    if reader.op == "output":
        return False
    schema = getattr(reader.target, "_schema", None)
    return schema is None or any(
        argument.alias_info is not None and value is source
        for argument, value in zip(schema.arguments, reader.args, strict=False)
    )


def _sink_below(node: Node, source: Node, concats: set[Node]) -> bool:
    """Turn an operation on a concatenation into a concatenation of operations, where it can be."""
    widths = _widths(source)
    depthwise = _is_convolution(node) and _groups(node) == sum(widths) == _shape(_args(node)[1])[0]
    alone = not concats.intersection(node.all_input_nodes[1:])
    if alone and (depthwise or _is_batch_norm(node)):
        dim = 0  # the other arguments are parameters, one for each channel
    elif is_channelwise(node.target, node.args, 4):
        dim = 1
    else:
        return False
    pieces = {value: _pieces(value, widths, dim, concats, node) for value in node.all_input_nodes}
    parts = []
    for number, width in enumerate(widths):
        own = {value: found[number] for value, found in pieces.items() if found}
        if own.keys() != pieces.keys():
            return False
        args, kwargs = map_arg((_args(node), node.kwargs), own.__getitem__)
        if depthwise:
            args = (*args[:6], width)
        parts.append(insert_call(node, out_of_place(node.target), args, kwargs))
    node.target, node.args, node.kwargs = _aten.cat.default, (parts, 1), {}
    return True


def _pieces(
    value: Node, widths: list[int], dim: int, concats: set[Node], before: Node
) -> list[Node] | None:
    """Return what stands in for ``value`` in the operation on each part, or None."""
    if value in concats:
        return list(_args(value)[0]) if _widths(value) == widths else None
    shape = _shape(value)
    if not shape:  # a number
        return [value] * len(widths)
    if dim == 0 or (len(shape) == 4 and shape[1:] == (sum(widths), 1, 1)):
        return _slices(value, widths, dim, before)
    return None


def _convolve_parts(node: Node) -> None:
    """Turn a convolution of a concatenation into the sum of the convolutions of its parts."""
    source, weight, *others = _args(node)
    bias, *geometry = others or [None]
    convolutions: list[Node] = []
    kernels = _slices(weight, _widths(source), 1, node)
    for part, kernel in zip(source.args[0], kernels, strict=True):
        args = (part, kernel, None if convolutions else bias, *geometry)
        convolutions.append(insert_call(node, node.target, args))
    *first, last = convolutions
    total = reduce(lambda a, b: insert_call(node, _aten.add.Tensor, (a, b)), first)
    node.target, node.args = _aten.add.Tensor, (total, last)


def _slices(tensor: Node, widths: list[int], dim: int, before: Node) -> list[Node]:
    """Slice a tensor; exporters fold slices of weights, but not what ``split`` returns."""
    return [
        insert_call(before, _aten.slice.Tensor, (tensor, dim, end - width, end))
        for width, end in zip(widths, accumulate(widths), strict=True)
    ]


def insert_call(before: Node, target: Any, args: Any, kwargs: Any = None) -> Node:
    """Add a call to the graph, in the same module as the node before which it goes."""
    node = before.graph.call_function(target, args, kwargs)
    node.meta = before.meta.copy()
    values, named = map_arg((args, kwargs or {}), lambda value: value.meta["val"])
    node.meta["val"] = target(*values, **named)
    return node


def _args(node: Node) -> tuple[Any, ...]:
    return node.args


def _shape(node: Node) -> tuple[Any, ...]:
    return tuple(getattr(node.meta["val"], "shape", ()))


def _widths(concat: Node) -> list[int]:
    return [int(_shape(part)[1]) for part in _args(concat)[0]]


def _is_convolution(node: Node) -> bool:
    return getattr(node.target, "overloadpacket", None) is _aten.conv2d


def _groups(convolution: Node) -> int:
    return int(_args(convolution)[6]) if len(convolution.args) > 6 else 1


def _is_batch_norm(node: Node) -> bool:
    return node.target is _aten.batch_norm.default and not node.args[5]
