"""What torch.fx can see of a model by tracing it."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, fx, nn
from torch.jit import ScriptModule
from torch.nn.modules.conv import _ConvNd

from ghostify.analysis.dry_run import preserve_rng
from ghostify.nn import GhostModule
from ghostify.types import Example, split_example


@dataclass
class Graph:
    """The union of all traces, by qualified names.

    Attributes:
        called: modules that a trace calls.
        readers: modules whose parameters a trace reads by themselves.
    """

    called: set[str] = field(default_factory=set)
    readers: set[str] = field(default_factory=set)


def trace(model: nn.Module, example: Example) -> Graph:
    """Trace a copy of a model, and by themselves the modules inside what cannot be traced.

    Each module is traced once as part of its surroundings or once alone, so the work grows with
    the number of modules.
    """
    graph = Graph()
    names = {module: name for name, module in model.named_modules()}
    pending = [(model, _constants(model, example))]
    while pending:
        module, constants = pending.pop()
        tracer = _Tracer(names, graph)
        try:
            with preserve_rng():
                tracer.trace(module, constants or None)
        except Exception:
            tracer.opaque.append(module)
        for node in tracer.graph.nodes:
            if node.op == "get_attr":
                owner = module.get_submodule(str(node.target).rpartition(".")[0])
                graph.readers.add(names[owner])
        pending += [
            (child, {})
            for opaque in tracer.opaque
            for child in opaque.children()
            if names[child] not in graph.called and not _is_leaf(child)
        ]
    return graph


class _Tracer(fx.Tracer):
    """A tracer that goes round what it cannot trace."""

    def __init__(self, names: dict[nn.Module, str], seen: Graph) -> None:
        super().__init__()
        self.graph = fx.Graph()
        self.names = names
        self.seen = seen
        self.opaque: list[nn.Module] = []

    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        return _is_leaf(module) or super().is_leaf_module(module, name)

    def call_module(self, module: nn.Module, forward: Any, args: Any, kwargs: Any) -> Any:
        path = self.path_of_module(module)
        depth = len(self.module_stack)
        self.seen.called.add(self.names[module])
        try:
            return super().call_module(module, forward, args, kwargs)
        except Exception:
            while len(self.module_stack) > depth:
                self.module_stack.popitem()
            self.opaque.append(module)
            return self.create_proxy("call_module", path, args, kwargs)


def _is_leaf(module: nn.Module) -> bool:
    return isinstance(module, (_ConvNd, GhostModule))


def _constants(model: nn.Module, example: Example) -> dict[str, Any]:
    """The arguments that are no tensors: branches on them are decided, not traced."""
    if isinstance(model, ScriptModule):
        return {}
    args, kwargs = split_example(example)
    signature = inspect.signature(model.forward)
    try:
        given = signature.bind(*args, **kwargs).arguments
    except TypeError:  # a hook or a __call__ of its own stands before the forward
        return {}
    unnamed = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return {
        name: given.get(name, parameter.default)
        for name, parameter in signature.parameters.items()
        if parameter.kind not in unnamed and not isinstance(given.get(name), Tensor)
    }
