"""Trace a model with torch.fx, around submodules that cannot be traced."""

from __future__ import annotations

import inspect
from typing import Any

from torch import Tensor, fx, nn
from torch.jit import ScriptModule
from torch.nn.modules.conv import _ConvNd

from ghostify.analysis.preserve import preserve_rng
from ghostify.nn import GhostModule
from ghostify.types import Example, split_example


def trace(model: nn.Module, example: Example) -> tuple[set[str], set[str]]:
    """Trace ``model``; modules inside an untraceable submodule are traced by themselves.

    Each module is traced once, so the work grows with the number of modules.

    Returns:
        Names of the modules that are called, and of those whose parameters or buffers are read by
        something else.
    """
    called: set[str] = set()
    read: set[str] = set()
    names = {module: name for name, module in model.named_modules()}
    pending = [(model, _constants(model, example))]
    while pending:
        module, constants = pending.pop()
        tracer = _Tracer(names, called)
        try:
            with preserve_rng():
                tracer.trace(module, constants or None)
        except Exception:
            tracer.untraceable.append(module)
        for node in tracer.graph.nodes:
            if node.op == "get_attr":
                owner = module.get_submodule(str(node.target).rpartition(".")[0])
                read.add(names[owner])
        pending += [
            (child, {})
            for parent in tracer.untraceable
            for child in parent.children()
            if names[child] not in called and not _is_leaf(child)
        ]
    return called, read


class _Tracer(fx.Tracer):
    """Treats submodules that cannot be traced as leaf modules."""

    def __init__(self, names: dict[nn.Module, str], called: set[str]) -> None:
        super().__init__()
        self.graph = fx.Graph()
        self.names = names
        self.called = called
        self.untraceable: list[nn.Module] = []

    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        return _is_leaf(module) or super().is_leaf_module(module, name)

    def call_module(self, module: nn.Module, forward: Any, args: Any, kwargs: Any) -> Any:
        path = self.path_of_module(module)
        depth = len(self.module_stack)
        self.called.add(self.names[module])
        try:
            return super().call_module(module, forward, args, kwargs)
        except Exception:
            while len(self.module_stack) > depth:
                self.module_stack.popitem()
            self.untraceable.append(module)
            return self.create_proxy("call_module", path, args, kwargs)


def _is_leaf(module: nn.Module) -> bool:
    return isinstance(module, (_ConvNd, GhostModule))


def _constants(model: nn.Module, example: Example) -> dict[str, Any]:
    """Arguments that are not tensors; branches on them are decided, not traced."""
    if isinstance(model, ScriptModule):
        return {}
    args, kwargs = split_example(example)
    signature = inspect.signature(model.forward)
    try:
        given = signature.bind(*args, **kwargs).arguments
    except TypeError:  # a pre-hook or an own __call__ changes the arguments
        return {}
    unnamed = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return {
        name: given.get(name, parameter.default)
        for name, parameter in signature.parameters.items()
        if parameter.kind not in unnamed and not isinstance(given.get(name), Tensor)
    }
