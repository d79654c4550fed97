"""Callbacks around the forward of every module, and which module holds a parameter."""

from __future__ import annotations

from collections import defaultdict
from contextlib import AbstractContextManager, ExitStack
from typing import Any

from torch import nn
from torch.nn.modules.module import (
    _global_forward_hooks_with_kwargs,
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from torch.utils.hooks import RemovableHandle


class ForwardObserver(AbstractContextManager["ForwardObserver"]):
    """Follows a forward pass from module to module.

    Attributes:
        names: qualified names of the modules of ``model``.
        owners: by id of a parameter, the modules that hold it directly.
        stack: modules whose forward is running, the outermost first.
    """

    def __init__(self, model: nn.Module) -> None:
        self.names = {module: name for name, module in model.named_modules()}
        self.owners = parameter_owners(model)
        self.stack: list[nn.Module] = []
        self.contexts = ExitStack()

    def __enter__(self) -> Any:
        for handle in (
            register_module_forward_pre_hook(self._enter),
            register_module_forward_hook(self._leave, with_kwargs=True),
        ):
            self.contexts.callback(_remove, handle)
        return self

    def __exit__(self, *_: object) -> None:
        self.contexts.close()

    def _enter(self, module: nn.Module, _: tuple[Any, ...]) -> None:
        self.stack.append(module)
        self.before_forward(module)

    def _leave(self, module: nn.Module, args: Any, kwargs: dict[str, Any], output: Any) -> None:
        while self.stack and self.stack.pop() is not module:
            pass  # a module that raised, in a model that caught the exception
        self.after_forward(module, (*args, *kwargs.values()), output)

    def before_forward(self, module: nn.Module) -> None:
        """Override to act before the forward of each module."""

    def after_forward(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        """Override to act after the forward of each module."""

    @property
    def location(self) -> str:
        """Name and representation of the innermost running module, for messages."""
        running = [module for module in self.stack if self.names.get(module)]
        if not running:
            return "its own forward"
        lines = repr(running[-1]).splitlines()
        what = lines[0] if len(lines) == 1 else type(running[-1]).__name__
        return f"{self.names[running[-1]]}, {what}"


def parameter_owners(model: nn.Module) -> dict[int, list[nn.Module]]:
    """Return, for the id of each parameter, the modules that hold it directly."""
    owners: dict[int, list[nn.Module]] = defaultdict(list)
    for module in model.modules():
        for parameter in module.parameters(recurse=False):
            owners[id(parameter)].append(module)
    return owners


def shares_parameters(module: nn.Module, owners: dict[int, list[nn.Module]]) -> bool:
    """Whether another module holds one of the parameters of ``module`` too."""
    return any(len(owners[id(p)]) > 1 for p in module.parameters(recurse=False))


def _remove(handle: RemovableHandle) -> None:
    handle.remove()
    # torch leaves this entry, and torch.compile warns of a global hook while it is there.
    _global_forward_hooks_with_kwargs.pop(handle.id, None)
