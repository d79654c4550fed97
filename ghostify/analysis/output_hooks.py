"""Forward hooks on named modules, for as long as a block lasts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from torch import Tensor, nn

from ghostify.types import GhostifyError
from ghostify.types.errors import near

OutputHook = Callable[[str, nn.Module, tuple[Any, ...], Any], Any]
"""Called with name, module, positional inputs and output. A result other than None replaces the
output, as in ``register_forward_hook``."""

Calls = Mapping[str, list[tuple[Tensor, Tensor]]]
"""By module name, first input and output of each call."""


@contextmanager
def output_hooks(model: nn.Module, names: Iterable[str], hook: OutputHook) -> Iterator[None]:
    """Call ``hook`` after each forward of the named modules of ``model``."""
    with ExitStack() as handles:
        for name in dict.fromkeys(names):
            try:
                module = model.get_submodule(name)
            except AttributeError:
                known = dict(model.named_modules())
                raise GhostifyError(f"the model has no layer {name!r}{near(name, known)}") from None
            handles.callback(module.register_forward_hook(partial(hook, name)).remove)
        yield


@contextmanager
def record_calls(
    model: nn.Module, names: Iterable[str], *, copied: bool = False
) -> Iterator[Calls]:
    """Record first input and output of each call of the named modules.

    A module that is not called has an empty list. Tensors keep their graph.

    Args:
        copied: whether to copy the tensors, which later operations in place change otherwise.
    """
    calls: dict[str, list[tuple[Tensor, Tensor]]] = defaultdict(list)

    def add_call(name: str, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        given = inputs[0]
        calls[name].append((given.clone(), output.clone()) if copied else (given, output))

    with output_hooks(model, names, add_call):
        yield calls
