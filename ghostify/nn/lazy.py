"""Lazy modules, whose sizes the first input decides."""

from __future__ import annotations

from torch import nn

from ghostify.types import GhostifyError


def lazy_modules(model: nn.Module) -> list[str]:
    """Return the names of lazy modules that have not run yet, such as a ``LazyConv2d``.

    Their parameters may have been loaded; sizes and class are still those of no layer.
    """
    return [name for name, module in model.named_modules() if hasattr(module, "_initialize_hook")]


def check_not_lazy(model: nn.Module, argument: str = "model") -> None:
    """Raise if `lazy_modules` finds any; ``argument`` is the caller's, for the message."""
    if names := lazy_modules(model):
        path = f"{argument}.{names[0]}" if names[0] else argument
        raise GhostifyError(f"`{path}` is lazy: run `{argument}` on an input once, before this")
