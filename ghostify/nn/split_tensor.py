"""A concatenation that is not made until something needs it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

_apart: ContextVar[bool] = ContextVar("_apart", default=False)


@contextmanager
def kept_apart() -> Iterator[None]:
    """Within it, deployed Ghost modules do not concatenate their halves unless they have to.

    For tracing. The copy that a concatenation is, and the activation or the sum behind it that is
    not fused with it, cost a third of a ResNet-50's time in ONNX Runtime. Kept apart, each
    half has its own, fused into its convolution, and a convolution of both is the sum of one of
    each. In eager mode, where nothing is fused, it would be slower.
    """
    token = _apart.set(True)
    try:
        yield
    finally:
        _apart.reset(token)


def are_kept_apart() -> bool:
    """Whether this is within `kept_apart`, and so for a runtime and not for eager mode."""
    return _apart.get()


def concatenation(maps: Sequence[Tensor]) -> Tensor:
    """The concatenation of maps ``(N, C_i, H, W)`` along the channels, or what stands for it."""
    if _apart.get() and maps[0].dim() == 4:
        return Parts(list(maps))
    return torch.cat(list(maps), -3)


def whole(output: Any) -> Any:
    """An output of any structure with every concatenation made: what leaves a network is whole."""
    return tree_map_only(Parts, Parts.whole, output)


class Parts(Tensor):
    """What would come of concatenating ``parts`` along the channels.

    A tensor to all who look at it. What treats channels one by one, and convolutions, take the
    parts; anything else gets the concatenation, which is made once.
    """

    parts: list[Tensor]

    @staticmethod
    def __new__(cls, parts: list[Tensor]) -> Parts:
        first = parts[0]
        shape = [int(size) if isinstance(size, Tensor) else size for size in first.shape]
        shape[1] = sum(int(part.shape[1]) for part in parts)
        made: Parts = Tensor._make_wrapper_subclass(
            cls, shape, dtype=first.dtype, device=first.device
        )
        made.parts = parts
        return made

    def __init__(self, parts: list[Tensor]) -> None:
        pass

    @property
    def widths(self) -> list[int]:
        return [int(part.shape[1]) for part in self.parts]

    def whole(self) -> Tensor:
        """The concatenation."""
        if len(self.parts) > 1:
            self.parts = [torch.cat(self.parts, 1)]
        return self.parts[0]

    @classmethod
    def __torch_function__(
        cls, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        handler = _HANDLERS.get(function.__name__)
        if handler is not None and args:
            result = handler(function, *args, **kwargs)
            if result is not NotImplemented:
                return result
        args, kwargs = tree_map_only(Parts, Parts.whole, (args, kwargs))
        return function(*args, **kwargs)

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        args, kwargs = tree_map_only(Parts, Parts.whole, (args, kwargs or {}))
        return function(*args, **kwargs)


def _each(function: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
    """What treats all channels alike."""
    if not isinstance(x, Parts) or any(isinstance(v, Tensor) for v in (*args, *kwargs.values())):
        return NotImplemented
    made = [function(part, *args, **kwargs) for part in x.parts]
    if all(new is old for new, old in zip(made, x.parts, strict=True)):
        return x
    return Parts(made)


def _pair(function: Any, x: Any, y: Any, **kwargs: Any) -> Any:
    """Sums and products, of parts of one division or with what has as few numbers as channels."""
    whole = x if isinstance(x, Parts) else y
    left, right = (_divided(value, whole) for value in (x, y))
    if left is None or right is None:
        return NotImplemented
    made = [function(a, b, **kwargs) for a, b in zip(left, right, strict=True)]
    if isinstance(x, Parts) and all(new is old for new, old in zip(made, x.parts, strict=True)):
        return x
    return Parts(made)


def _divided(value: Any, whole: Parts) -> list[Any] | None:
    if not isinstance(value, Tensor):
        return [value] * len(whole.parts)
    if isinstance(value, Parts):
        return value.parts if value.widths == whole.widths else None
    if value.dim() == 0:
        return [value] * len(whole.parts)
    if value.dim() == 4 and tuple(value.shape[1:]) == (sum(whole.widths), 1, 1):
        return _slices(value, whole.widths, 1)
    return None


def _slices(tensor: Tensor, widths: list[int], dim: int = 0) -> list[Tensor]:
    """What ``split`` gives, but one by one: exporters know how to fold slices of weights."""
    starts = accumulate(widths, initial=0)
    return [tensor.narrow(dim, start, width) for start, width in zip(starts, widths, strict=False)]


def _convolved(
    function: Any, x: Any, weight: Tensor, bias: Tensor | None = None, *args: Any, **kwargs: Any
) -> Any:
    """The sum of a convolution of each part, or, depthwise, each by itself."""
    if not isinstance(x, Parts) or len(x.parts) == 1:
        return NotImplemented
    groups = kwargs.pop("groups", args[3] if len(args) > 3 else 1)
    if groups == sum(x.widths) == len(weight):
        biases = [None] * len(x.parts) if bias is None else _slices(bias, x.widths)
        kernels = zip(x.parts, _slices(weight, x.widths), biases, x.widths, strict=True)
        return Parts([function(*k, *args[:3], groups=g, **kwargs) for *k, g in kernels])
    if groups != 1:
        return NotImplemented
    total: Any = None
    for part, kernel in zip(x.parts, _slices(weight, x.widths, 1), strict=True):
        maps = function(part, kernel, bias if total is None else None, *args, **kwargs)
        total = maps if total is None else total + maps
    return total


def _normalized(
    function: Any,
    x: Any,
    mean: Any,
    variance: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    *args: Any,
    **kwargs: Any,
) -> Any:
    """A batch norm in evaluation mode, of each part."""
    if training or mean is None or not isinstance(x, Parts):
        return NotImplemented
    count = len(x.parts)
    numbers = [
        [None] * count if tensor is None else _slices(tensor, x.widths)
        for tensor in (mean, variance, weight, bias)
    ]
    each = zip(x.parts, *numbers, strict=True)
    return Parts([function(part, *own, False, *args, **kwargs) for part, *own in each])


def _pooled(function: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
    """Global averages are few numbers: those are concatenated."""
    if not isinstance(x, Parts):
        return NotImplemented
    made = [function(part, *args, **kwargs) for part in x.parts]
    return torch.cat(made, 1)


def _averaged(function: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
    dims = kwargs.get("dim", args[0] if args else None)
    spatial = isinstance(dims, (tuple, list)) and {dim % 4 for dim in dims} == {2, 3}
    return _pooled(function, x, *args, **kwargs) if spatial else NotImplemented


def _measured(function: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
    """Sizes, of which a trace must see that they are those of the input."""
    first: Any = x.parts[0]
    sizes = [first.shape[0], sum(x.widths), *first.shape[2:]]
    dim = kwargs.get("dim", args[0] if args and isinstance(args[0], int) else None)
    return torch.Size(sizes) if dim is None else sizes[dim]


_ALIKE = (
    "avg_pool2d", "clamp", "clone", "contiguous", "dropout", "elu", "gelu", "hardsigmoid",
    "hardswish", "hardtanh", "leaky_relu", "max_pool2d", "mish", "relu", "relu_", "relu6",
    "sigmoid", "silu", "tanh",
)  # fmt: skip
_HANDLERS: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(_ALIKE, _each),
    **dict.fromkeys(("add", "add_", "mul", "mul_", "__iadd__", "__imul__"), _pair),
    "adaptive_avg_pool2d": _pooled,
    "batch_norm": _normalized,
    "conv2d": _convolved,
    "mean": _averaged,
    "size": _measured,
}
