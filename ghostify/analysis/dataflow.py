"""Producer-consumer graph of one forward pass."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, is_dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

from ghostify.analysis.dry_run import dry_run
from ghostify.analysis.forward_observer import ForwardObserver
from ghostify.nn import CheapOperation, GhostModule
from ghostify.types import Example


@dataclass(eq=False)
class Value:
    """A tensor until an operation in place; then it is another value.

    Attributes:
        producer: the step that made it; None for an input of the pass.
        consumers: the steps that read it, in order.
    """

    producer: Step | None
    shape: tuple[int, ...]
    consumers: list[Step] = field(default_factory=list)


@dataclass(eq=False)
class Step:
    """One call of a layer, or one operation outside of layers.

    Attributes:
        layer: qualified name of the layer; empty for an operation.
        operation: the aten operation; None for a layer, and for the end of the pass.
        args, kwargs: arguments of the operation.
        inputs: values read.
        outputs: values made.
        operations: of a layer, the aten operations that read its first input.
    """

    layer: str = ""
    operation: Any = None
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    inputs: list[Value] = field(default_factory=list)
    outputs: list[Value] = field(default_factory=list)
    operations: list[Any] = field(default_factory=list)


class Dataflow(ForwardObserver):
    """Records which step reads and makes which value.

    Layers are convolutions, linear layers, Ghost modules, cheap operations outside of these, batch
    norms and PReLUs. One call of a layer is one step. Everything else is recorded as aten
    operations, of modules, functions, scripted code or autograd functions alike.

    Attributes:
        steps: calls of each layer, by its name.
        sequence: all steps in order.
        shared: modules whose parameters other code reads too, or another module holds.
        on_meta: whether the pass was on the meta device: shapes without values.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model)
        self.steps: dict[str, list[Step]] = defaultdict(list)
        self.sequence: list[Step] = []
        self.shared: set[str] = set()
        self.on_meta = False
        self._values: Any = WeakTensorKeyDictionary()
        self._in_layer: list[tuple[Any, list[Value]]] = []
        self._operations = 0
        self._operations_before: list[int] = []
        self._no_op: dict[nn.Module, bool] = {}
        self._norms = {name for module, name in self.names.items() if is_norm(module)}
        for owners in self.owners.values():
            if len(owners) > 1:
                self._share(owners)

    @property
    def no_ops(self) -> list[str]:
        """Modules that returned their only input, and ran no operation, in every call."""
        return [self.names[module] for module, no_op in self._no_op.items() if no_op]

    def is_shared(self, name: str) -> bool:
        """Whether other code reads parameters of a module, or of modules inside it."""
        return any(other == name or other.startswith(f"{name}.") for other in self.shared)

    def following_norms(self) -> dict[str, str]:
        """Return, for each layer that only one batch norm reads, the name of that batch norm.

        The batch norm has running statistics and no other input.
        """
        norms = {}
        for layer, steps in self.steps.items():
            readers = {reader for step in steps for out in step.outputs for reader in out.consumers}
            names = {reader.layer for reader in readers}
            if len(names) == 1 and self._is_only_input(layer, *names):
                norms[layer] = names.pop()
        return norms

    def _is_only_input(self, layer: str, norm: str) -> bool:
        return norm in self._norms and all(
            len(step.inputs) == len(step.operations) == 1
            and step.inputs[0].producer is not None
            and step.inputs[0].producer.layer == layer
            for step in self.steps[norm]
        )

    def __enter__(self) -> Dataflow:
        super().__enter__()
        self.contexts.enter_context(_DispatchMode(self._after_operation))
        return self

    def finish(self, output: Any) -> None:
        """Record the output of the model as read."""
        self._record(Step(inputs=[self._value(tensor) for tensor in tensors_in(output)]), [])

    def before_forward(self, module: nn.Module) -> None:
        self._operations_before.append(self._operations)

    def after_forward(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        before, *_ = self._operations_before[len(self.stack) :]
        del self._operations_before[len(self.stack) :]
        if module in self.names and not any(module.children()):
            no_op = self._operations == before and len(inputs) == 1 and output is inputs[0]
            self._no_op[module] = no_op and self._no_op.get(module, True)
        if self._running_layer() is not None or not self._is_layer(module):
            return
        read = [self._value(tensor) for tensor in tensors_in(inputs)]
        step = Step(self.names[module], inputs=read)
        for operation, values in self._in_layer:
            others = [value for value in values if value.producer and value not in read]
            if others:
                self._record(Step(operation=operation, inputs=others), [])
            if read and read[0] in values:
                step.operations.append(operation)
        self._in_layer.clear()
        self.steps[step.layer].append(step)
        self._record(step, tensors_in(output))

    def _after_operation(self, operation: Any, args: Any, kwargs: Any, result: Any) -> None:
        self._operations += 1
        read = tensors_in((args, kwargs))
        for tensor in read:
            owners = self.owners.get(id(tensor), [])
            self._share([module for module in owners if module not in self.stack])
        values = [self._value(t) for t in read if id(t) not in self.owners]
        if self._running_layer() is not None:
            self._in_layer.append((operation, values))
        else:
            self._record(Step("", operation, args, kwargs, values), tensors_in(result))

    def _record(self, step: Step, made: list[Tensor]) -> None:
        self.sequence.append(step)
        for value in dict.fromkeys(step.inputs):
            value.consumers.append(step)
        for tensor in made:
            value = self._values[tensor] = Value(step, tuple(tensor.shape))
            step.outputs.append(value)

    def _value(self, tensor: Tensor) -> Value:
        if tensor not in self._values:
            self._values[tensor] = Value(None, tuple(tensor.shape))
        value: Value = self._values[tensor]
        return value

    def _running_layer(self) -> nn.Module | None:
        """The outermost layer whose forward is running."""
        return next((module for module in self.stack if self._is_layer(module)), None)

    def _is_layer(self, module: nn.Module) -> bool:
        kinds = (nn.Conv2d, nn.Linear, nn.PReLU, GhostModule, CheapOperation)
        return bool(self.names.get(module)) and (isinstance(module, kinds) or is_norm(module))

    def _share(self, owners: list[nn.Module]) -> None:
        self.shared |= {self.names[module] for module in owners}


def is_norm(module: nn.Module) -> bool:
    """Whether ``module`` is a batch norm, torch's or a frozen one, with running statistics."""
    kinds = isinstance(module, _BatchNorm) or type(module).__name__ == "FrozenBatchNorm2d"
    return kinds and module.running_mean is not None


def trace_dataflow(model: nn.Module, example: Example) -> Dataflow:
    """Record the data flow of one `dry_run` in evaluation mode."""
    run = dry_run(model, example, observer=Dataflow)
    flow = run.observer
    flow.finish(run.output)
    flow.on_meta = run.on_meta
    return flow


def tensors_in(value: Any) -> list[Tensor]:
    """Return the tensors in nested containers, dataclasses and other objects."""
    return list(_tensors(value, set()))


def _tensors(value: Any, seen: set[int]) -> Iterator[Tensor]:
    for leaf in tree_leaves(value):
        if isinstance(leaf, Tensor):
            yield leaf
        elif id(leaf) not in seen and _has_fields(leaf):
            seen.add(id(leaf))
            yield from _tensors(vars(leaf), seen)


def _has_fields(leaf: Any) -> bool:
    if isinstance(leaf, (type, nn.Module)):
        return False
    return is_dataclass(leaf) or (
        hasattr(leaf, "__dict__") and not type(leaf).__module__.startswith(("torch.", "builtins"))
    )


class _DispatchMode(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Calls ``callback`` after each aten operation."""

    def __init__(self, callback: Callable[..., None]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.callback = callback

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.callback(func, args, kwargs or {}, result)
        return result
