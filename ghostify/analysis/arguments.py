"""Messages for a model or an example of the wrong kind."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from ghostify.nn.lazy import check_not_lazy
from ghostify.types import Example, GhostifyError

_WRAPPERS = {
    "AveragedModel": "module",
    "DataParallel": "module",
    "DistributedDataParallel": "module",
    "ModelEmaV2": "module",
    "ModelEmaV3": "module",
    "OptimizedModule": "_orig_mod",
}
"""Modules of torch and timm around a network, by class, and the attribute that holds it."""

_HOLDERS = ("module", "ema", "model")
_SHARDED = {"FSDPModule", "FullyShardedDataParallel"}


def check_model(
    model: Any, argument: str = "model", *, wrapped: bool = False, lazy: bool = False
) -> None:
    """Check that ``model`` is a network, and not something around it or in place of it.

    A wrapper is refused because names in its plan and its state dict would start with ``module.``
    or ``_orig_mod.``, and would not fit the network itself. A compiled or sharded module cannot be
    copied, wherever in the network it is. ``fx.GraphModule`` and ``torch.jit.ScriptModule`` are
    networks. The error says what to pass instead.

    Args:
        argument: name of the caller's argument, for the message.
        wrapped: accept wrappers, for callers that only run the model.
        lazy: accept lazy modules that have not run yet, for callers that run them on an example.
    """
    if not isinstance(model, nn.Module):
        raise GhostifyError(f"`{argument}` {_what_to_pass(model, argument)}")
    if not lazy:
        check_not_lazy(model, argument)
    if wrapped:
        return
    for base in type(model).__mro__:
        if attribute := _WRAPPERS.get(base.__name__):
            kind = _a(base.__name__)
            raise GhostifyError(f"`{argument}` is {kind}: pass `{argument}.{attribute}`")
    for name, module in model.named_modules():
        path = f"{argument}.{name}" if name else argument
        classes = {base.__name__ for base in type(module).__mro__}
        if "OptimizedModule" in classes:
            raise GhostifyError(f"`{path}` is compiled: put `{path}._orig_mod` in its place")
        if _SHARDED & classes:
            raise GhostifyError(f"`{path}` is sharded: pass the network as it was before FSDP")


def check_models(models: Any) -> None:
    """Check a dict of networks by name."""
    if not isinstance(models, Mapping):
        kind = _a(type(models).__name__)
        raise GhostifyError(f"`models` is {kind}: pass a dict, such as {{'original': model}}")
    for name, model in models.items():
        check_model(model, f"models[{name!r}]")


def _what_to_pass(model: Any, argument: str) -> str:
    kind = _a(type(model).__name__)
    if isinstance(model, Mapping):
        loaded = "pass a network that has loaded it by `load_state_dict`"
        return f"is {kind}, such as a state dict: {loaded}"
    if isinstance(model, str | Path):
        cure = "pass an nn.Module; `ghostify.load` reads an artifact"
        return f"(={str(model)!r}) is a name or a path: {cure}"
    if isinstance(model, type) or (callable(model) and hasattr(model, "__name__")):
        what = "class" if isinstance(model, type) else "function"
        return f"is the {what} {model.__name__}: pass a network, `{model.__name__}()`"
    for name in _HOLDERS:
        if isinstance(getattr(model, name, None), nn.Module):
            return f"is {kind}: pass `{argument}.{name}`"
    return f"is {kind}: pass an nn.Module"


def _a(kind: str) -> str:
    return f"{'an' if kind[0] in 'AEIOU' else 'a'} {kind}"


def example_hint(example: Example) -> str:
    """What to pass as an example that a model does not run on, where it is the likely cause.

    An example is never refused for its type alone: detectors take a list.
    """
    if isinstance(example, list):
        what = "is a list, which is one argument of the model"
    elif not any(isinstance(leaf, Tensor) for leaf in tree_leaves(example)):
        what = "holds no tensor"
    elif isinstance(example, Tensor) and example.dim() == 5 and example.shape[:2] == (1, 1):
        return f"; leave the batch out of the input's size: {'x'.join(map(str, example.shape[2:]))}"
    else:
        return ""
    cure = "pass a tensor, a tuple of positional inputs, or a dict of keyword inputs"
    return f"; `example` {what}: {cure}"
