"""Refuse a forward that uses the original while a copy runs."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.overrides import TorchFunctionMode

from ghostify.analysis.forward_observer import ForwardObserver
from ghostify.types import GhostifyError


class OriginalInUseError(GhostifyError):
    """A copy of a model uses tensors of the model."""


class OriginalGuard(TorchFunctionMode):
    """Raises before a function uses parameters or buffers of a model while its copy runs.

    What the copy changes or trains would be the original's. Functions that hold modules are bound
    to the copy (`BoundFunctions`), but globals, weak references and own objects are not.

    Args:
        original: the model.
        observer: follows the pass of the copy.
    """

    def __init__(self, original: nn.Module, copied: nn.Module, observer: ForwardObserver) -> None:
        super().__init__()
        own = {id(tensor) for tensor in (*copied.parameters(), *copied.buffers())}
        named = (*original.named_parameters(), *original.named_buffers())
        self.names = {id(tensor): name for name, tensor in named if id(tensor) not in own}
        self.observer = observer

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__name__", "") != "__get__":  # shapes, types and devices are no values
            for value in (*args, *kwargs.values()):
                if id(value) in self.names:
                    raise OriginalInUseError(self._message(self.names[id(value)]))
        return func(*args, **kwargs)

    def _message(self, tensor: str) -> str:
        observer = self.observer
        running = [observer.names[m] for m in observer.stack if observer.names.get(m)]
        where = running[-1] if running else "the network"
        return (
            f"a copy of {where} uses {tensor} of the original: its forward is bound to that, such "
            "as by a global variable; write it as a method that uses `self`"
        )
