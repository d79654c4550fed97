"""What one forward pass shows of a model's convolutions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, count
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ghostify.analysis.conv_info import (
    FUNCTIONS,
    functional_geometry,
    geometry_of,
    is_convolution,
    is_transposed,
)
from ghostify.analysis.dry_run import ForwardObserver
from ghostify.nn import CheapOperation, GhostModule
from ghostify.types import Geometry


@dataclass
class Convolution:
    """A convolution's numbers, its first map, and how often it ran."""

    type: str
    geometry: Geometry
    output: tuple[int, ...] = ()
    calls: int = 0
    positions: int = 0
    functional: bool = False
    transposed: bool = False

    def add_call(self, source: Tensor, result: Tensor) -> None:
        dimensions = len(self.geometry.kernel_size)
        self.calls += 1
        self.output = self.output or tuple(result.shape[-dimensions:])
        self.positions += (
            source.numel() // self.geometry.in_channels
            if self.transposed
            else result.numel() // self.geometry.out_channels
        )


class ConvObserver(ForwardObserver):
    """Sees every convolution that runs, and who else uses the weights of one.

    Attributes:
        convolutions: by qualified name, in the order of execution. A functional convolution has
            the name of the module that calls it and of the function.
        readers: names of convolutions whose parameters something else used.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model)
        self.convolutions: dict[str, Convolution] = {}
        self.readers: set[str] = set()
        self._owners: dict[int, list[nn.Module]] = defaultdict(list)
        self._watched = set(filter(is_convolution, self.names))
        for module in self._watched:
            for parameter in module.parameters(recurse=False):
                self._owners[id(parameter)].append(module)
        self._functional: dict[tuple[str, int], str] = {}
        self._kept: list[Tensor] = []

    def __enter__(self) -> ConvObserver:
        super().__enter__()
        self._open.enter_context(_Functions(self.called))
        return self

    def left(self, module: nn.Module, inputs: tuple[Any, ...], result: Any) -> None:
        if module not in self._watched:
            return
        source = next((value for value in inputs if isinstance(value, Tensor)), None)
        if source is None or not isinstance(result, Tensor):
            return
        name = self.names[module]
        if name not in self.convolutions:
            self.convolutions[name] = Convolution(
                type_of(module),
                geometry_of(module),
                transposed=getattr(module, "transposed", False),
            )
        self.convolutions[name].add_call(source, result)

    def called(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        result: Any,
    ) -> None:
        """A function of torch was called on these arguments."""
        for value in _leaves((*args, *kwargs.values())):
            owners = self._owners.get(id(value), [])
            if owners and not any(o in self.stack for o in owners) and _uses(function, result):
                self.readers |= {self.names[owner] for owner in owners}
        if function in FUNCTIONS and not any(map(self._explains, self.stack)):
            arguments = dict(zip(FUNCTIONS[function], args, strict=False)) | kwargs
            self._saw_function(function, arguments, result)

    def _explains(self, module: nn.Module) -> bool:
        """Whether a functional convolution inside ``module`` is that module's own."""
        return module in self._watched or isinstance(module, (GhostModule, CheapOperation))

    def _saw_function(
        self, function: Callable[..., Any], arguments: dict[str, Any], result: Tensor
    ) -> None:
        owner = next((self.names[m] for m in reversed(self.stack) if m in self.names), "")
        weight = arguments["weight"]
        key = (owner, id(weight))
        if key not in self._functional:
            self._kept.append(weight)  # so that no later weight gets its id
            kind = function.__name__
            base = f"{owner}.{kind}" if owner else kind
            taken = {*self.names.values(), *self._functional.values()}
            candidates = chain([base], (f"{base}_{number}" for number in count(1)))
            name = next(name for name in candidates if name not in taken)
            self._functional[key] = name
            self.convolutions[name] = Convolution(
                kind,
                functional_geometry(function, arguments),
                functional=True,
                transposed=is_transposed(function),
            )
        self.convolutions[self._functional[key]].add_call(arguments["input"], result)


class _Functions(TorchFunctionMode):
    """Tells of every call of a torch function."""

    def __init__(self, called: Callable[..., None]) -> None:
        super().__init__()
        self.called = called

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        result = function(*args, **kwargs)
        self.called(function, args, kwargs, result)
        return result


def type_of(module: nn.Module) -> str:
    """The class of a module, of a scripted one that of its source."""
    return str(getattr(module, "original_name", type(module).__name__))


def _leaves(values: Iterable[Any]) -> Iterator[Any]:
    """The values, those in lists and tuples too, such as the tensors that ``torch.cat`` takes."""
    for value in values:
        if isinstance(value, (list, tuple)):
            yield from _leaves(value)
        else:
            yield value


def _uses(function: Callable[..., Any], result: Any) -> bool:
    """Reading a weight's dtype, device or shape is no use of it."""
    return getattr(function, "__name__", "") != "__get__" or isinstance(result, torch.Tensor)
