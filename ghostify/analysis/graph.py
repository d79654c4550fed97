"""The model as a torch.fx graph, run once on shapes alone."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.utils._pytree import tree_map_only

from ghostify.analysis.functional import FUNCTIONS, functional_geometry
from ghostify.layers import GhostModule
from ghostify.replica import meta_replica
from ghostify.spec import Example, Geometry, GhostifyError, describe_example, split_example
from ghostify.spec.errors import first_line


@dataclass
class Convolution:
    """What one forward pass shows of a convolution: its maps, and how often it ran."""

    type: str
    geometry: Geometry
    output: tuple[int, ...] = ()
    calls: int = 0
    positions: int = 0

    def add_call(self, source: Tensor, result: Tensor) -> None:
        dimensions = len(self.geometry.kernel_size)
        transposed = "transpose" in self.type.lower()
        self.calls += 1
        self.output = self.output or tuple(result.shape[-dimensions:])
        self.positions += (
            source.numel() // self.geometry.in_channels
            if transposed
            else result.numel() // self.geometry.out_channels
        )


@dataclass
class Observation:
    """What the graph and its run show of a model.

    Attributes:
        convolutions: by qualified name, in the order of execution. A functional convolution has
            the name of the module that calls it and of its node.
        readers: names of modules whose parameters the graph reads by themselves.
        leaves: names of modules that the graph calls and does not look into.
    """

    convolutions: dict[str, Convolution] = field(default_factory=dict)
    readers: set[str] = field(default_factory=set)
    leaves: set[str] = field(default_factory=set)


def observe(model: nn.Module, example: Example) -> Observation:
    """Trace ``model`` in evaluation mode and run the trace on the shapes of ``example``.

    Nothing is computed and ``model`` is not touched: both work on a copy on the meta device.

    Raises:
        GhostifyError: if the model does not take the example, torch.fx cannot trace the model, or
            the shapes do not fit.
    """
    name = type(model).__name__
    twin = meta_replica(model).eval()
    arguments = _bind(twin, example)
    try:
        graph = _Tracer().trace(twin, concrete_args=_constants(twin, example))
    except Exception as error:
        raise GhostifyError(f"torch.fx cannot trace {name}: {first_line(error)}") from error
    run = _ShapeRun(twin, graph)
    try:
        with torch.no_grad(), torch.device("meta"):
            run.run(*tree_map_only(Tensor, lambda tensor: tensor.to("meta"), arguments))
    except Exception as error:
        raise GhostifyError(
            f"{name} does not run on an input of {describe_example(example)}: "
            f"at {run.place()}: {first_line(error)}"
        ) from error
    return run.seen


class _Tracer(fx.Tracer):
    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        return isinstance(module, GhostModule) or super().is_leaf_module(module, name)


def _bind(model: nn.Module, example: Example) -> list[Any]:
    """The arguments of one call in the order of the signature, defaults included."""
    args, kwargs = split_example(example)
    try:
        bound = inspect.signature(model.forward).bind(*args, **kwargs)
    except TypeError as error:
        raise GhostifyError(
            f"{type(model).__name__}.forward does not take this input: {first_line(error)}"
        ) from error
    bound.apply_defaults()
    return list(bound.arguments.values())


def _constants(model: nn.Module, example: Example) -> dict[str, Any]:
    """The arguments that are no tensors: branches on them are decided, not traced."""
    args, kwargs = split_example(example)
    signature = inspect.signature(model.forward)
    given = signature.bind(*args, **kwargs).arguments
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {
        name: given.get(name, parameter.default)
        for name, parameter in signature.parameters.items()
        if parameter.kind in named and not isinstance(given.get(name), Tensor)
    }


class _ShapeRun(fx.Interpreter):
    """Runs a graph on the meta device and keeps what it sees of convolutions."""

    def __init__(self, model: nn.Module, graph: fx.Graph) -> None:
        super().__init__(model, graph=graph)
        self.seen = Observation()
        self.modules = dict(model.named_modules())
        self.node: fx.Node | None = None

    def place(self) -> str:
        """Where the run is, for people: the layer or function in work."""
        if self.node is None:
            return "its input"
        target = str(self.node.target)
        return f"{target}, {self.modules[target]}" if self.node.op == "call_module" else target

    def run_node(self, node: fx.Node) -> Any:
        self.node = node
        args, kwargs = self.fetch_args_kwargs_from_env(node)
        result = getattr(self, node.op)(node.target, args, kwargs)
        if node.op == "get_attr":
            self.seen.readers.add(str(node.target).rpartition(".")[0])
        elif node.op == "call_module":
            self.seen.leaves.add(str(node.target))
            module = self.modules[str(node.target)]
            if isinstance(module, _ConvNd):
                source = (*args, *kwargs.values())[0]
                self._saw_module(str(node.target), module, source, result)
        elif callable(node.target) and node.target in FUNCTIONS:
            arguments = dict(zip(FUNCTIONS[node.target], args, strict=False)) | kwargs
            self._saw_function(node, node.target, arguments, result)
        return result

    def call_module(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        # Batch norm keeps the shape, and its meta kernel is the slowest of all by far.
        module = self.modules[target]
        return args[0] if isinstance(module, _BatchNorm) and args else module(*args, **kwargs)

    def get_attr(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        value = super().get_attr(target, args, kwargs)
        return value.to("meta") if isinstance(value, Tensor) else value

    def _saw_module(self, name: str, module: _ConvNd, source: Tensor, result: Tensor) -> None:
        fresh = Convolution(type(module).__name__, Geometry.of(module))
        self.seen.convolutions.setdefault(name, fresh).add_call(source, result)

    def _saw_function(
        self, node: fx.Node, function: Callable[..., Any], arguments: dict[str, Any], result: Tensor
    ) -> None:
        stack = list(node.meta.get("nn_module_stack", {}).values())
        owner = stack[-1][0] if stack else ""
        module = self.modules[owner]
        if isinstance(module, _ConvNd):
            self._saw_module(owner, module, arguments["input"], result)
            return
        name = f"{owner}.{node.name}" if owner else node.name
        fresh = Convolution(function.__name__, functional_geometry(function, arguments))
        self.seen.convolutions.setdefault(name, fresh).add_call(arguments["input"], result)
