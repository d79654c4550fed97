"""Copies of a model in which some tensors or modules are replaced."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, TypeVar

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ghostify.analysis.closures import BoundFunctions
from ghostify.types import GhostifyError
from ghostify.types.errors import first_line

Model = TypeVar("Model", bound=nn.Module)


def copy_model(model: Model, exchange: Mapping[Any, Any] = {}) -> Model:
    """Return a deep copy of ``model`` in which each key of ``exchange`` is replaced by its value.

    Keys are never copied: a copy that replaces all parameters needs no memory for weights. A
    replacement takes the place of its key under every name. Everything else is copied; the copy
    and ``model`` share nothing but what ``exchange`` holds. Functions that hold modules of
    ``model``, such as a patched forward, hold those of the copy (`BoundFunctions`).

    Args:
        exchange: parameters, buffers or modules of ``model``, and their replacements.
    """
    functions = BoundFunctions(model)
    memo = _empty_containers(model) | functions.copies
    memo |= {id(old): new for old, new in exchange.items()}
    try:
        with _CopyNonLeaves():
            copied = copy.deepcopy(model, memo)
            functions.bind(memo)
            return copied
    except Exception as error:
        name = type(model).__name__
        raise GhostifyError(f"{name} cannot be copied: {first_line(error)}") from error


def _empty_containers(model: nn.Module) -> dict[int, Any]:
    """By id, copies of the dozen empty containers of each module; deepcopy is slow on them."""
    return {
        id(value): OrderedDict()
        for module in model.modules()
        for value in vars(module).values()
        if type(value) is OrderedDict and not value
    }


class _CopyNonLeaves(TorchFunctionMode):
    """Lets deepcopy copy non-leaf tensors, such as the weight of a weight norm, without history."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is Tensor.__deepcopy__ and not args[0].is_leaf:
            return args[0].detach().clone()
        return func(*args, **(kwargs or {}))


def meta_copy(model: Model) -> Model:
    """Return a copy on the meta device, which runs on shapes and computes no values."""
    parameters = {p: _frozen(p.detach().to("meta")) for p in model.parameters()}
    return copy_model(model, parameters | {b: b.to("meta") for b in model.buffers()})


def frozen_copy(model: Model) -> Model:
    """Return a copy in evaluation mode that shares the memory of the parameters, without grad."""
    frozen = copy_model(model, {p: _frozen(p.detach()) for p in model.parameters()})
    frozen.eval()  # not chained: an override may return nothing
    return frozen


def _frozen(tensor: Tensor) -> nn.Parameter:
    return nn.Parameter(tensor, requires_grad=False)
