"""Run a model and leave no trace on it: on shapes alone wherever that is possible."""

from __future__ import annotations

import random
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.module import (
    _global_forward_hooks_with_kwargs,
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map_only
from torch.utils.hooks import RemovableHandle

from ghostify.analysis.arguments import example_hint
from ghostify.analysis.caches import preserve_caches
from ghostify.analysis.model_copy import copy_model, meta_copy
from ghostify.types import Example, GhostifyError, describe_example, split_example
from ghostify.types.errors import first_line


class ForwardObserver(AbstractContextManager["ForwardObserver"]):
    """Follows a forward pass from module to module.

    Attributes:
        names: qualified names of the replica's modules.
        stack: the modules whose forward is running, the outermost first.
    """

    def __init__(self, model: nn.Module) -> None:
        self.names = {module: name for name, module in model.named_modules()}
        self.stack: list[nn.Module] = []
        self._open = ExitStack()

    def __enter__(self) -> Any:
        for handle in (
            register_module_forward_pre_hook(self._enter),
            register_module_forward_hook(self._leave, with_kwargs=True),
        ):
            self._open.callback(_remove, handle)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def _enter(self, module: nn.Module, _: tuple[Any, ...]) -> None:
        self.stack.append(module)
        self.entered(module)

    def _leave(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
    ) -> None:
        while self.stack and self.stack.pop() is not module:
            pass  # a module whose exception the model itself has caught
        self.left(module, (*args, *kwargs.values()), result)

    def entered(self, module: nn.Module) -> None:
        """A module's forward begins; for subclasses that want to know."""

    def left(self, module: nn.Module, inputs: tuple[Any, ...], result: Any) -> None:
        """A module's forward has ended; for subclasses that want to know."""

    @property
    def place(self) -> str:
        """The innermost module at work, for people."""
        known = [module for module in self.stack if self.names.get(module)]
        if not known:
            return "its own forward"
        module = known[-1]
        lines = repr(module).splitlines()
        what = lines[0] if len(lines) == 1 else type(module).__name__
        return f"{self.names[module]}, {what}"


def _remove(handle: RemovableHandle) -> None:
    handle.remove()
    # Torch forgets this mark, and torch.compile warns of a global hook for as long as it is there.
    _global_forward_hooks_with_kwargs.pop(handle.id, None)


Model = TypeVar("Model", bound=nn.Module)
Watch = TypeVar("Watch", bound=ForwardObserver)


@dataclass(frozen=True)
class Outcome(Generic[Watch]):
    """What a dry run gave.

    Attributes:
        output: what the model returned.
        replica: the copy that ran.
        watch: what followed the pass.
        on_shapes: whether it ran on the meta device, and so without values.
    """

    output: Any
    model_copy: nn.Module
    watch: Watch
    on_shapes: bool


def dry_run(
    model: nn.Module,
    example: Example,
    *,
    training: bool = False,
    watch: Callable[[nn.Module], Watch] = ForwardObserver,  # type: ignore[assignment]
) -> Outcome[Watch]:
    """Run a copy of ``model`` once, in evaluation mode or in training mode.

    A copy on the meta device runs first. Only a model that needs values (it branches on them, or
    leaves the device) runs for real, on a copy that holds its weights once more for as long as the
    outcome is kept. Whatever a forward writes, neither changes the model's parameters, buffers or
    flags, the example's tensors, nor any generator of random numbers.

    Args:
        watch: makes from the copy what follows its pass.

    Raises:
        GhostifyError: if the model does not run on the example.
    """
    try:
        return _run(meta_copy(model), _to_meta(example), training, watch, on_shapes=True)
    except Exception:  # whatever it is, the real run tells
        pass
    return _run(copy_model(model), cloned(example), training, watch, on_shapes=False)


def cloned(example: Example) -> Example:
    """The example with tensors of its own, for a forward that writes into its input."""
    return tree_map_only(Tensor, Tensor.clone, example)


def materialize(model: Model, example: Example) -> Model:
    """``model`` itself, or a copy in which lazy modules have seen the example."""
    lazy: list[Any] = [t for t in (*model.parameters(), *model.buffers()) if is_lazy(t)]
    if not lazy:
        return model
    ready = copy_model(
        model,
        {t: type(t)(t.requires_grad, device=t.device, dtype=t.dtype) for t in lazy},
    )
    modes = {module: module.training for module in ready.modules()}
    _run(ready, cloned(example), False, ForwardObserver, on_shapes=False)
    for module, training in modes.items():
        module.training = training
    return ready


def _run(
    twin: nn.Module,
    example: Example,
    training: bool,
    watch: Callable[[nn.Module], Watch],
    *,
    on_shapes: bool,
) -> Outcome[Watch]:
    args, kwargs = split_example(example)
    watching = watch(twin)
    with ExitStack() as stack:
        stack.enter_context(preserve_rng())
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        stack.enter_context(torch.no_grad())
        if on_shapes:
            stack.enter_context(preserve_caches(twin))
            stack.enter_context(torch.device("meta"))
            stack.enter_context(_BatchNormOnShapes())
        stack.enter_context(watching)
        try:
            twin.train(training)  # a statement: an override may return nothing
            output = twin(*args, **kwargs)
            if isinstance(output, Iterator):
                output = list(output)
        except Exception as error:
            raise GhostifyError(
                f"{type(twin).__name__} does not run on an input of "
                f"{describe_example(example)}: at {watching.place}: {first_line(error)}"
                f"{example_hint(example)}"
            ) from error
    return Outcome(output, twin, watching, on_shapes)


class _BatchNormOnShapes(TorchFunctionMode):
    """Batch norm keeps the shape, and its meta kernel is slower than all others together."""

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if function is F.batch_norm and _fits(*args, **kwargs):
            return torch.empty_like(args[0])
        return function(*args, **kwargs)


def _fits(
    source: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    *_: Any,
    **__: Any,
) -> bool:
    """Whether batch norm would run: numbers of channels agree, and training has a variance."""
    channels = source.shape[1]
    given = [tensor for tensor in (running_mean, weight) if tensor is not None]
    return all(t.numel() == channels for t in given) and not (
        training and source.numel() == channels
    )


def _to_meta(example: Example) -> Example:
    return tree_map_only(Tensor, lambda tensor: tensor.to("meta"), example)


@contextmanager
def preserve_rng() -> Iterator[None]:
    """Give every generator of random numbers back in the state it had."""
    devices = list(range(torch.cuda.device_count()))
    numpy = sys.modules.get("numpy")
    python_state = random.getstate()
    numpy_state = numpy.random.get_state() if numpy else None
    try:
        with torch.random.fork_rng(devices):
            yield
    finally:
        random.setstate(python_state)
        if numpy:
            numpy.random.set_state(numpy_state)


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """Evaluation mode for as long as the block lasts; then each module's own mode again."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training
