"""Merge parallel branches by the methods that their modules bring along."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from ghostify.analysis.preserve import eval_mode, preserve_rng
from ghostify.nn.hooks import has_hooks
from ghostify.types import GhostifyError
from ghostify.types.errors import first_line

_METHODS = ("fuse", "reparameterize", "switch_to_deploy", "fuse_convs", "fuse_model")
"""In timm and LeViT; MobileOne and FastViT; RepVGG; Ultralytics; torchvision, in this order."""


def merge_branches(model: nn.Module) -> nn.Module:
    """Merge all branches in place, as in evaluation mode; return the network.

    A module with such a method merges itself or returns its replacement. Modules with hooks stay.
    Parameters require a gradient where those did that they are made of.

    Raises:
        GhostifyError: if a method fails, for one on a network whose branches were converted.
    """
    flags = {name: p.requires_grad for name, p in model.named_parameters()}
    known, training = set(model.modules()), model.training
    with torch.no_grad(), eval_mode(model), preserve_rng():
        merged = _merge(model, "")
    for module in set(merged.modules()) - known:
        module.training = training
    for name, parameter in merged.named_parameters():
        parameter.requires_grad_(_was_trainable(name, flags))
    return merged


def merge_method(module: nn.Module) -> Callable[..., Any] | None:
    """Return the method of a module that merges its branches, if it has one without arguments."""
    for name in _METHODS:
        method = getattr(module, name, None)
        if inspect.ismethod(method) and not _required_arguments(method):
            return method
    return None


def _required_arguments(method: Callable[..., Any]) -> list[str]:
    parameters = inspect.signature(method).parameters.values()
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in parameters if p.default is p.empty and p.kind not in variadic]


def _merge(module: nn.Module, name: str) -> nn.Module:
    method = None if has_hooks(module) else merge_method(module)
    if method is not None:
        module = _call(method, module, name)
        if hasattr(module, "is_fused") or method.__name__ == "fuse_model":
            return module  # a whole network, which has merged all modules inside
    for child_name, child in module.named_children():
        merged = _merge(child, f"{name}.{child_name}" if name else child_name)
        if merged is not child:
            setattr(module, child_name, merged)
    return module


def _call(method: Callable[..., Any], module: nn.Module, name: str) -> nn.Module:
    quiet = {"verbose": False} if "verbose" in inspect.signature(method).parameters else {}
    try:
        result = method(**quiet)
    except Exception as error:
        what = f"{name or 'the network'} ({type(module).__name__})"
        raise GhostifyError(f"{what} cannot be merged: {first_line(error)}") from error
    if isinstance(result, nn.Module):
        return result
    if hasattr(module, "forward_fuse"):  # Ultralytics leaves this to the network
        module.forward = module.forward_fuse  # type: ignore[assignment]
    return module


def _was_trainable(name: str, flags: Mapping[str, bool]) -> bool:
    """Whether a parameter was, or any of the innermost module around it that had parameters."""
    steps = name.split(".")
    for end in range(len(steps), 0, -1):
        path = ".".join(steps[:end])
        own = [flag for old, flag in flags.items() if f"{old}.".startswith(f"{path}.")]
        if own:
            return any(own)
    return any(flags.values())
