"""Hooks on modules."""

from __future__ import annotations

from torch import nn


def has_hooks(module: nn.Module) -> bool:
    """Return whether a forward or backward hook is registered on ``module`` or inside it."""
    return any(
        m._forward_pre_hooks or m._forward_hooks or m._backward_pre_hooks or m._backward_hooks
        for m in module.modules()
    )
