"""Run a copy of a model once, on the meta device if possible."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map_only

from ghostify.analysis.arguments import check_model, example_hint
from ghostify.analysis.caches import evict_meta_tensors
from ghostify.analysis.forward_observer import ForwardObserver
from ghostify.analysis.model_copy import copy_model, meta_copy
from ghostify.analysis.original_guard import OriginalGuard, OriginalInUseError
from ghostify.analysis.preserve import eval_mode, preserve_rng
from ghostify.nn.lazy import lazy_modules
from ghostify.types import Example, GhostifyError, describe_example, split_example
from ghostify.types.errors import first_line

Model = TypeVar("Model", bound=nn.Module)
Observer = TypeVar("Observer", bound=ForwardObserver)


@dataclass(frozen=True)
class DryRun(Generic[Observer]):
    """Result of `dry_run`.

    Attributes:
        output: what the model returned.
        model_copy: the copy that ran.
        observer: what followed the pass.
        on_meta: whether it ran on the meta device: shapes without values.
    """

    output: Any
    model_copy: nn.Module
    observer: Observer
    on_meta: bool


def dry_run(
    model: nn.Module,
    example: Example,
    *,
    training: bool = False,
    observer: Callable[[nn.Module], Observer] = ForwardObserver,  # type: ignore[assignment]
) -> DryRun[Observer]:
    """Run a copy of ``model`` once, in evaluation or training mode.

    A copy on the meta device runs first. If that fails, because the model branches on values or
    moves tensors to a device, a copy runs for real; it needs the memory of the weights once more
    while the result is kept. Parameters, buffers and flags of ``model``, tensors of the example
    and random number generators stay as they are.

    Args:
        observer: called with the copy; what it returns follows the pass.

    Raises:
        OriginalInUseError: if the forward of the copy uses tensors of ``model``.
        GhostifyError: if the model does not run on the example.
    """
    try:
        on_meta = tree_map_only(Tensor, lambda tensor: tensor.to("meta"), example)
        return _run(meta_copy(model), model, on_meta, training, observer, on_meta=True)
    except OriginalInUseError:
        raise
    except Exception:  # the real run raises the error to report
        pass
    inputs = clone_tensors(example)
    return _run(copy_model(model), model, inputs, training, observer, on_meta=False)


def clone_tensors(example: Example) -> Example:
    """Copy the tensors of an example, for a forward that writes to its input."""
    return tree_map_only(Tensor, Tensor.clone, example)


def materialize(model: Model, example: Example) -> Model:
    """Check ``model`` and return it; if some of its modules are lazy, a copy that has run.

    Raises:
        GhostifyError: as `check_model` does, and if lazy modules do not run on the example.
    """
    check_model(model, lazy=True)
    if not lazy_modules(model):
        return model
    lazy: list[Any] = [t for t in (*model.parameters(), *model.buffers()) if is_lazy(t)]
    blank = {t: type(t)(t.requires_grad, device=t.device, dtype=t.dtype) for t in lazy}
    ready = copy_model(model, blank)
    with eval_mode(ready):
        _run(ready, model, clone_tensors(example), False, ForwardObserver, on_meta=False)
    return ready


def _run(
    model: nn.Module,
    original: nn.Module,
    example: Example,
    training: bool,
    make_observer: Callable[[nn.Module], Observer],
    *,
    on_meta: bool,
) -> DryRun[Observer]:
    args, kwargs = split_example(example)
    observer = make_observer(model)
    with ExitStack() as stack:
        stack.enter_context(preserve_rng())
        stack.enter_context(warnings.catch_warnings(action="ignore"))
        stack.enter_context(torch.no_grad())
        if on_meta:
            stack.enter_context(evict_meta_tensors(model))
            stack.enter_context(torch.device("meta"))
            stack.enter_context(_FastBatchNorm())
        stack.enter_context(observer)
        stack.enter_context(OriginalGuard(original, model, observer))
        try:
            model.train(training)  # not chained: an override may return nothing
            output = model(*args, **kwargs)
            if isinstance(output, Iterator):
                output = list(output)
        except OriginalInUseError:
            raise
        except Exception as error:
            raise GhostifyError(
                f"{type(model).__name__} does not run on an input of {describe_example(example)}: "
                f"at {observer.location}: {first_line(error)}{example_hint(example)}"
            ) from error
    return DryRun(output, model, observer, on_meta)


class _FastBatchNorm(TorchFunctionMode):
    """Returns an empty tensor for batch norm, whose meta kernel takes longer than all others."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is F.batch_norm and _batch_norm_runs(*args, **kwargs):
            return torch.empty_like(args[0])
        return func(*args, **kwargs)


def _batch_norm_runs(
    source: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    *_: Any,
    **__: Any,
) -> bool:
    """Whether channels agree and, in training mode, each channel has more than one value."""
    channels = source.shape[1]
    given = [tensor for tensor in (running_mean, weight) if tensor is not None]
    return all(t.numel() == channels for t in given) and not (
        training and source.numel() == channels
    )
