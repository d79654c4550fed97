"""Record every convolution of a forward pass, and reads of its weight by something else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain, count
from types import SimpleNamespace
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from ghostify.analysis.convolutions import class_name, is_convolution
from ghostify.analysis.forward_observer import ForwardObserver
from ghostify.nn import CheapOperation, GhostModule
from ghostify.types import Geometry

_DIRECT = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
_TRANSPOSED = (*_DIRECT[:5], "output_padding", "groups", "dilation")

_FUNCTIONS: dict[Any, tuple[str, ...]] = {
    **dict.fromkeys((F.conv1d, F.conv2d, F.conv3d), _DIRECT),
    **dict.fromkeys((F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d), _TRANSPOSED),
}
"""Functional convolutions and the names of their positional arguments."""


@dataclass
class ConvRecord:
    """What a forward pass shows of one convolution: these fields of its `ConvSite`."""

    type: str
    geometry: Geometry
    output: tuple[int, ...] | None = None
    calls: int = 0
    positions: int = 0
    functional: bool = False

    def add_call(self, source: Tensor, output: Tensor, *, transposed: bool) -> None:
        self.calls += 1
        self.output = self.output or tuple(output.shape[-len(self.geometry.kernel_size) :])
        channels = (self.geometry.in_channels, self.geometry.out_channels)
        self.positions += (source if transposed else output).numel() // channels[not transposed]


class ConvObserver(ForwardObserver):
    """Records the convolutions that run, modules and functions.

    Attributes:
        convolutions: by qualified name, in order of execution. A functional convolution is named
            after the module that calls it and the function, such as ``layer1.conv2d``.
        weights_read: names of modules whose parameters are used outside their forward.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model)
        self.convolutions: dict[str, ConvRecord] = {}
        self.weights_read: set[str] = set()
        self._modules = set(filter(is_convolution, self.names))
        self._functional: dict[tuple[str, int], str] = {}
        self._weights: list[Tensor] = []

    def __enter__(self) -> ConvObserver:
        super().__enter__()
        self.contexts.enter_context(_FunctionMode(self._after_function))
        return self

    def after_forward(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        if module not in self._modules:
            return
        source = next((value for value in inputs if isinstance(value, Tensor)), None)
        if source is None or not isinstance(output, Tensor):
            return
        name = self.names[module]
        if name not in self.convolutions:
            self.convolutions[name] = ConvRecord(class_name(module), Geometry.of(module))
        transposed = getattr(module, "transposed", False)
        self.convolutions[name].add_call(source, output, transposed=transposed)

    def _after_function(self, function: Any, args: Any, kwargs: Any, result: Any) -> None:
        if not _reads_attribute(function, result):
            for value in tree_leaves((args, kwargs)):
                owners = self.owners.get(id(value), ())
                if owners and not any(owner in self.stack for owner in owners):
                    self.weights_read |= {self.names[owner] for owner in owners}
        if function in _FUNCTIONS and not any(map(self._has_own_record, self.stack)):
            arguments = dict(zip(_FUNCTIONS[function], args, strict=False)) | kwargs
            self._record_function(function, arguments, result)

    def _has_own_record(self, module: nn.Module) -> bool:
        return module in self._modules or isinstance(module, (GhostModule, CheapOperation))

    def _record_function(self, function: Any, arguments: dict[str, Any], output: Tensor) -> None:
        caller = next((self.names[m] for m in reversed(self.stack) if m in self.names), "")
        weight = arguments["weight"]
        transposed = _FUNCTIONS[function] is _TRANSPOSED
        key = (caller, id(weight))
        if key not in self._functional:
            self._weights.append(weight)  # keeps its id from being used again
            kind = function.__name__
            base = f"{caller}.{kind}" if caller else kind
            taken = {*self.names.values(), *self._functional.values()}
            numbered = chain([base], (f"{base}_{number}" for number in count(1)))
            name = self._functional[key] = next(name for name in numbered if name not in taken)
            geometry = _geometry(arguments, transposed=transposed)
            self.convolutions[name] = ConvRecord(kind, geometry, functional=True)
        record = self.convolutions[self._functional[key]]
        record.add_call(arguments["input"], output, transposed=transposed)


def _geometry(arguments: dict[str, Any], *, transposed: bool) -> Geometry:
    """Return the geometry of one call; channels and kernel size are those of the weight."""
    first, second, *kernel = arguments["weight"].shape
    groups = arguments.get("groups", 1)
    call = SimpleNamespace(
        in_channels=first if transposed else second * groups,
        out_channels=second * groups if transposed else first,
        kernel_size=kernel,
        groups=groups,
        bias=arguments.get("bias"),
        stride=arguments.get("stride", 1),
        padding=arguments.get("padding", 0),
        dilation=arguments.get("dilation", 1),
    )
    return Geometry.of(call)


class _FunctionMode(TorchFunctionMode):
    """Calls ``callback`` after each torch function."""

    def __init__(self, callback: Callable[..., None]) -> None:
        super().__init__()
        self.callback = callback

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        self.callback(func, args, kwargs, result)
        return result


def _reads_attribute(function: Callable[..., Any], result: Any) -> bool:
    """Whether the function is a getter of dtype, device or shape, which does not use values."""
    return getattr(function, "__name__", "") == "__get__" and not isinstance(result, Tensor)
