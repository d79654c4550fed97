"""Who reads what: the values that one forward pass hands from layer to layer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, is_dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

from ghostify.analysis.dry_run import ForwardObserver, dry_run
from ghostify.nn import CheapOperation, GhostModule
from ghostify.types import Example


@dataclass(eq=False)
class Value:
    """A tensor, up to where it is written over: what is there then is another value.

    Attributes:
        maker: the step that made it; None for what the pass began with.
        readers: the steps that read it, in their order.
        shape: its sizes.
    """

    maker: Step | None
    shape: tuple[int, ...]
    readers: list[Step] = field(default_factory=list)


@dataclass(eq=False)
class Step:
    """One call of a layer, or one operation outside of all layers.

    Attributes:
        layer: qualified name of the layer; empty for an operation.
        operation: the aten operation, or None for a layer, and for the end of the pass.
        args, kwargs: arguments of the operation.
        inputs: values read.
        outputs: values made.
        operations: inside a layer, the aten operations that read its first input.
    """

    layer: str = ""
    operation: Any = None
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    inputs: list[Value] = field(default_factory=list)
    outputs: list[Value] = field(default_factory=list)
    operations: list[Any] = field(default_factory=list)


class Dataflow(ForwardObserver):
    """Follows values from layer to layer.

    Layers are convolutions, linear layers, Ghost modules, cheap operations outside of these, and
    batch norms; each is one step,
    whatever it does inside. Everything else is seen as aten operations, whoever calls them:
    modules, functions, scripted code or autograd functions.

    Attributes:
        steps: by the name of a layer, its calls.
        sequence: all steps.
        exposed: layers whose parameters are also read from elsewhere, or belong to several.
        on_shapes: whether the pass was on the meta device, and so without values.
        idle: modules that have handed back their one input and done nothing, in every call.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model)
        self.steps: dict[str, list[Step]] = defaultdict(list)
        self.sequence: list[Step] = []
        self.exposed: set[str] = set()
        self.on_shapes = False
        self._values: Any = WeakTensorKeyDictionary()
        self._inside: list[tuple[Any, list[Value]]] = []
        self._operations = 0
        self._entered: list[int] = []
        self._idle: dict[nn.Module, bool] = {}
        self._owners: dict[int, list[nn.Module]] = defaultdict(list)
        self._norms = {name for module, name in self.names.items() if is_norm(module)}
        for module in self.names:
            for parameter in module.parameters(recurse=False):
                self._owners[id(parameter)].append(module)
        for owners in self._owners.values():
            if len(owners) > 1:
                self._expose(owners)

    @property
    def idle(self) -> list[str]:
        return [self.names[module] for module, idle in self._idle.items() if idle]

    def followers(self) -> dict[str, str]:
        """For each layer that feeds one batch norm and nothing else, its name.

        The batch norm must have running statistics, and no other input.
        """
        found = {}
        for layer, steps in self.steps.items():
            readers = {reader for step in steps for out in step.outputs for reader in out.readers}
            names = {reader.layer for reader in readers}
            if len(names) == 1 and self._feed_alone(layer, *names):
                found[layer] = names.pop()
        return found

    def _feed_alone(self, layer: str, norm: str) -> bool:
        return norm in self._norms and all(
            len(step.inputs) == len(step.operations) == 1
            and step.inputs[0].maker is not None
            and step.inputs[0].maker.layer == layer
            for step in self.steps[norm]
        )

    def __enter__(self) -> Dataflow:
        super().__enter__()
        self._open.enter_context(_Operations(self))
        return self

    def ended(self, output: Any) -> None:
        """The pass is over, and has given ``output``."""
        self._record(Step(inputs=[self._value(tensor) for tensor in tensors_in(output)]), [])

    def entered(self, module: nn.Module) -> None:
        self._entered.append(self._operations)

    def left(self, module: nn.Module, inputs: tuple[Any, ...], result: Any) -> None:
        before, *_ = self._entered[len(self.stack) :]
        del self._entered[len(self.stack) :]
        if module in self.names and not any(module.children()):
            nothing = self._operations == before and len(inputs) == 1 and result is inputs[0]
            self._idle[module] = nothing and self._idle.get(module, True)
        if self._layer() is not None or not self._is_layer(module):
            return
        read = [self._value(tensor) for tensor in tensors_in(inputs)]
        first = read[:1]
        step = Step(self.names[module], inputs=read)
        for operation, values in self._inside:
            others = [value for value in values if value.maker and value not in read]
            if others:
                self._record(Step(operation=operation, inputs=others), [])
            if first and first[0] in values:
                step.operations.append(operation)
        self._inside.clear()
        self.steps[step.layer].append(step)
        self._record(step, tensors_in(result))

    def ran(self, operation: Any, args: Any, kwargs: Any, result: Any) -> None:
        """An aten operation has run."""
        self._operations += 1
        read = tensors_in((args, kwargs))
        for tensor in read:
            owners = self._owners.get(id(tensor), [])
            self._expose([module for module in owners if module not in self.stack])
        values = [self._value(t) for t in read if id(t) not in self._owners]
        if self._layer() is not None:
            self._inside.append((operation, values))
            return
        self._record(Step("", operation, args, kwargs, values), tensors_in(result))

    def _record(self, step: Step, made: list[Tensor]) -> None:
        self.sequence.append(step)
        for value in dict.fromkeys(step.inputs):
            value.readers.append(step)
        for tensor in made:
            value = self._values[tensor] = Value(step, tuple(tensor.shape))
            step.outputs.append(value)

    def _value(self, tensor: Tensor) -> Value:
        if tensor not in self._values:
            self._values[tensor] = Value(None, tuple(tensor.shape))
        value: Value = self._values[tensor]
        return value

    def _layer(self) -> nn.Module | None:
        """The outermost layer at work."""
        return next((module for module in self.stack if self._is_layer(module)), None)

    def _is_layer(self, module: nn.Module) -> bool:
        kinds = (nn.Conv2d, nn.Linear, GhostModule, CheapOperation)
        return bool(self.names.get(module)) and (isinstance(module, kinds) or is_norm(module))

    def _expose(self, owners: list[nn.Module]) -> None:
        self.exposed |= {self.names[module] for module in owners}


def is_norm(module: nn.Module) -> bool:
    """Whether it is a batch norm with running statistics, of torch's kind or frozen."""
    kinds = isinstance(module, _BatchNorm) or type(module).__name__ == "FrozenBatchNorm2d"
    return kinds and module.running_mean is not None


def trace_dataflow(model: nn.Module, example: Example) -> Dataflow:
    """The flow of one pass in evaluation mode, of which no trace is left.

    Raises:
        GhostifyError: if the model does not run on the example.
    """
    outcome = dry_run(model, example, watch=Dataflow)
    flow = outcome.watch
    flow.ended(outcome.output)
    flow.on_shapes = outcome.on_shapes
    return flow


def tensors_in(value: Any) -> list[Tensor]:
    """The tensors of a structure, also those in objects that are not containers of torch's."""
    return list(_tensors(value, set()))


def _tensors(value: Any, seen: set[int]) -> Iterator[Tensor]:
    for leaf in tree_leaves(value):
        if isinstance(leaf, Tensor):
            yield leaf
        elif id(leaf) not in seen and _holds_values(leaf):
            seen.add(id(leaf))
            yield from _tensors(vars(leaf), seen)


def _holds_values(leaf: Any) -> bool:
    if isinstance(leaf, (type, nn.Module)):
        return False
    return is_dataclass(leaf) or (
        hasattr(leaf, "__dict__") and not type(leaf).__module__.startswith(("torch.", "builtins"))
    )


class _Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self, flow: Dataflow) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.flow = flow

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        self.flow.ran(function, args, kwargs or {}, result)
        return result
