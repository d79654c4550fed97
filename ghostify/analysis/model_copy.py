"""Copies of a model's structure, with tensors or modules of it exchanged on the way."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, TypeVar

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ghostify.types import GhostifyError
from ghostify.types.errors import first_line

Model = TypeVar("Model", bound=nn.Module)


def copy_model(model: Model, exchange: Mapping[Any, Any] = {}) -> Model:
    """A deep copy of ``model`` in which each key of ``exchange`` appears as its value.

    What is exchanged is never copied, so a replica that exchanges all parameters costs no memory
    for weights, and one that exchanges modules holds the new ones under every name of the old. One
    that exchanges nothing shares nothing, and whatever is done to it the model does not feel.

    Args:
        model: left as it is.
        exchange: parameters, buffers or modules of ``model``, and what takes their place.

    Raises:
        GhostifyError: if ``model`` holds something that cannot be copied.
    """
    memo = _prepared(model) | {id(old): new for old, new in exchange.items()}
    try:
        with _WithoutHistory():
            return copy.deepcopy(model, memo)
    except Exception as error:
        raise GhostifyError(
            f"{type(model).__name__} cannot be copied: {first_line(error)}"
        ) from error


def _prepared(model: nn.Module) -> dict[int, Any]:
    """Copies, by id, of what deepcopy is slowest on: the dozen empty containers of each module."""
    made: dict[int, Any] = {}
    for module in model.modules():
        for value in vars(module).values():
            if type(value) is OrderedDict and not value:
                made[id(value)] = OrderedDict()
    return made


class _WithoutHistory(TorchFunctionMode):
    """Lets deepcopy copy tensors that a forward has computed and left somewhere in the model.

    It refuses them, such as the weight of a weight norm, for the sake of their history.
    """

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if function is Tensor.__deepcopy__ and not args[0].is_leaf:
            return args[0].detach().clone()
        return function(*args, **(kwargs or {}))


def meta_copy(model: Model) -> Model:
    """A replica on the meta device: shapes without values, so that running it costs nothing."""
    exchange: dict[Tensor, Tensor] = {
        parameter: nn.Parameter(parameter.detach().to("meta"), requires_grad=False)
        for parameter in model.parameters()
    }
    exchange |= {buffer: buffer.to("meta") for buffer in model.buffers()}
    return copy_model(model, exchange)


def frozen_copy(model: Model) -> Model:
    """A replica in evaluation mode whose parameters are the model's memory, without gradients."""
    twin = copy_model(
        model,
        {p: nn.Parameter(p.detach(), requires_grad=False) for p in model.parameters()},
    )
    twin.eval()  # a statement: an override may return nothing
    return twin
