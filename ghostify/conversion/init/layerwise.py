"""Feed calibration batches through a model whose layers are replaced one after the other.

A runner brings every batch to a pending layer and yields the calls of that layer. Once a layer is
installed there, forward passes continue with its output.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ghostify.analysis.model_copy import copy_model
from ghostify.conversion.init.residual_sums import ResidualSums, ResidualTerm
from ghostify.conversion.init.scratch import (
    HeldTensors,
    share_memory_of_threads,
    storages_of,
    trim_memory,
)
from ghostify.data.batches import device_of
from ghostify.types import Example, GhostifyError, split_example
from ghostify.types.errors import first_line

_MAX_BYTES = 2**26

Stop = Callable[["PendingLayer", tuple[Any, ...], Tensor | None], None]

_current = threading.local()


class PendingLayer(nn.Module):
    """Placeholder for a layer whose replacement is not known yet.

    Attributes:
        layer: the original layer, later the installed one.
        installed: whether forward passes run through without a stop.
        is_term: whether forward passes stop at the residual sum whose last term this layer
            computes, where the other term is known. The layer then runs again.
    """

    def __init__(self, layer: nn.Module, *, is_term: bool = False) -> None:
        super().__init__()
        self.layer = layer
        self.installed = False
        self.is_term = is_term

    def install(self, layer: nn.Module) -> None:
        self.layer = layer
        self.installed = True

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        if self.installed:
            return self.layer(*args, **kwargs)
        stop: Stop = _current.stop
        if not self.is_term:
            stop(self, args, None)
            return self.layer(*args, **kwargs)
        provisional = self.layer(*args, **kwargs)

        def at_sum(term: ResidualTerm, other: Tensor) -> None:
            stop(self, args, other)
            if self.installed:
                term.feature_maps.copy_(term.normalize(self.layer(*args, **kwargs)))

        _current.sums.follow(provisional, at_sum)
        return provisional


def run_forward(model: nn.Module, batch: Example, stop: Stop) -> None:
    """Run ``model``; each layer that is pending calls ``stop(layer, args, other)`` first."""
    args, kwargs = split_example(batch)
    with torch.no_grad(), ResidualSums() as sums:
        _current.stop, _current.sums = stop, sums
        model(*args, **kwargs)


@dataclass(frozen=True)
class Arrival:
    """A call of a pending layer.

    Attributes:
        batch: index of the batch.
        call: index of the call within the batch's forward pass.
        args: positional arguments of the call.
        other: the other term of the residual sum, if the layer computes its last term.
    """

    batch: int
    call: int
    args: tuple[Any, ...]
    other: Tensor | None = None


class LayerwiseRunner:
    """Brings all batches to one pending layer after the other, in the order of execution.

    Every batch has a thread, of which one runs at a time. A forward pass that waits keeps the
    feature maps that it still needs. What exceeds ``max_bytes`` over all batches moves to temporary
    files. Where it cannot, on other devices than the CPU, the forward pass is dropped and
    recomputed for the next layer. By default, that is 64 MB, or half of what is free on a GPU.
    """

    def __init__(
        self, model: nn.Module, batches: Sequence[Example], max_bytes: int | None = None
    ) -> None:
        self.model = model
        self.batches = batches
        self.max_bytes = _affordable_bytes(model) if max_bytes is None else max_bytes
        self.waiting: dict[int, BatchRun] = {}
        share_memory_of_threads()

    def close(self) -> None:
        """Drop all forward passes."""
        for run in self.waiting.values():
            run.drop()
        self.waiting.clear()

    def arrivals(self, pending: PendingLayer, calls: int = 1) -> Iterator[Arrival]:
        """Yield the calls of ``pending``, batch by batch.

        Args:
            pending: a layer of the model. Forward passes that meet another pending layer first do
                not get there, unless ``calls`` is above 1: then pending layers run as they are.
            calls: the most calls of ``pending`` in one forward pass.
        """
        total, weights = 0, storages_of(self.model)
        for number, batch in enumerate(self.batches):
            run = self.waiting.setdefault(number, BatchRun(self.model, batch))
            arrived = run.place is pending or run.advance_to(pending, calls > 1)
            for call in range(calls):
                if not arrived:
                    break
                yield Arrival(number, call, run.args, run.other)
                arrived = call + 1 < calls and run.advance_to(pending, True)
            if calls > 1 or run.ended:
                self.waiting.pop(number).drop()
                continue
            held = run.held.bytes_in_memory(weights)
            if total + held > self.max_bytes:
                held = run.held.move_to_files(weights)
            if total + held > self.max_bytes:
                self.waiting.pop(number).drop()
            else:
                total += held
        trim_memory()


def _affordable_bytes(model: nn.Module) -> int:
    device = device_of(model)
    return torch.cuda.mem_get_info(device)[0] // 2 if device.type == "cuda" else _MAX_BYTES


class BatchRun:
    """The forward pass of one batch, in a thread that waits at pending layers.

    Attributes:
        place: the pending layer where it waits.
        args, other: of the call there, as in `Arrival`.
        ended: whether the forward pass is over.
    """

    def __init__(self, model: nn.Module, batch: Example) -> None:
        self.model = model
        self.batch: Example = batch
        self.place: PendingLayer | None = None
        self.args: tuple[Any, ...] = ()
        self.other: Tensor | None = None
        self.ended = False
        self.held = HeldTensors()
        self._dropped = False
        self._error: BaseException | None = None
        self._resume = threading.Semaphore(0)
        self._paused = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, daemon=True)

    def advance_to(self, pending: PendingLayer, past_others: bool) -> bool:
        """Run to the next call of ``pending``; return whether there is one.

        Without ``past_others``, the forward pass waits at the first pending layer.
        """
        while not self.ended and (past_others or self.place is None or self.place.installed):
            self._advance()
            if self.place is pending:
                break
        return self.place is pending

    def drop(self) -> None:
        """End the forward pass and release its feature maps."""
        self._dropped = True
        if self._thread.is_alive():
            self._resume.release()
            self._thread.join()
        self.args, self.other = (), None

    def _advance(self) -> None:
        if self._thread.ident is None:
            self._thread.start()
        else:
            self._resume.release()
        self._paused.acquire()
        if self._error is not None:
            raise GhostifyError(
                f"{type(self.model).__name__} does not run on the calibration data: "
                f"{first_line(self._error)}"
            ) from self._error

    def _run(self) -> None:
        try:
            with self.held:
                run_forward(self.model, self.batch, self._wait)
        except _Dropped:
            pass
        except BaseException as error:
            self._error = error
        self.ended = True
        self.place = None
        self._paused.release()

    def _wait(self, place: PendingLayer, args: tuple[Any, ...], other: Tensor | None) -> None:
        self.place, self.args, self.other = place, args, other
        self._paused.release()
        self._resume.acquire()
        self.place, self.args, self.other = None, (), None
        if self._dropped:
            raise _Dropped


class _Dropped(BaseException):
    """Ends a forward pass from inside."""


@contextmanager
def layerwise(
    model: nn.Module,
    batches: Sequence[Example],
    layers: Mapping[str, nn.Module],
    terms: Collection[str] = (),
) -> Iterator[tuple[LayerwiseRunner, dict[str, PendingLayer]]]:
    """Make layers pending in a copy of ``model``, which shares its tensors.

    Args:
        layers: by name, what runs in the place of a module until another layer is installed.
        terms: names of layers that compute the last term of a residual sum.
    """
    pending = {name: PendingLayer(layer, is_term=name in terms) for name, layer in layers.items()}
    exchange: dict[Any, Any] = {model.get_submodule(name): pending[name] for name in layers}
    exchange |= {tensor: tensor for tensor in (*model.parameters(), *model.buffers())}
    with closing(LayerwiseRunner(copy_model(model, exchange), batches)) as runner:
        yield runner, pending
