"""The fast layer-wise runner: every forward pass is computed once."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any

from torch import Tensor, nn

from ghostify.conversion.init.held_tensors import HeldTensors
from ghostify.conversion.init.layerwise import Arrival, PendingLayer, run_forward
from ghostify.conversion.init.scratch import trim_memory
from ghostify.types import Example, GhostifyError
from ghostify.types.errors import first_line

_MAX_BYTES = 2**26


class ThreadedRunner:
    """Layer-wise runner with a thread per batch, of which one runs at a time.

    A forward pass that waits keeps the feature maps that it still needs. What exceeds
    ``max_bytes`` over all batches moves to temporary files. Where it cannot, on other devices
    than the CPU, the forward pass is dropped and recomputed for the next layer.
    """

    def __init__(
        self, model: nn.Module, batches: Sequence[Example], max_bytes: int = _MAX_BYTES
    ) -> None:
        self.model = model
        self.batches = batches
        self.max_bytes = max_bytes
        self.waiting: dict[int, BatchRun] = {}

    def close(self) -> None:
        for run in self.waiting.values():
            run.drop()
        self.waiting.clear()

    def arrivals(self, pending: PendingLayer, calls: int = 1) -> Iterator[Arrival]:
        total = 0
        for number, batch in enumerate(self.batches):
            run = self.waiting.pop(number, None) or BatchRun(self.model, batch)
            self.waiting[number] = run
            arrived = run.place is pending or run.advance_to(pending, calls > 1)
            for call in range(calls):
                if not arrived:
                    break
                yield Arrival(number, call, run.args, run.other)
                arrived = call + 1 < calls and run.advance_to(pending, True)
            if total + run.held_bytes > self.max_bytes:
                run.move_to_files()
            held = run.held_bytes
            if calls > 1 or run.ended or total + held > self.max_bytes:
                self.waiting.pop(number).drop()
            else:
                total += held
            trim_memory()


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
        self._held = HeldTensors(model)
        self._dropped = False
        self._error: BaseException | None = None
        self._resume = threading.Semaphore(0)
        self._paused = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def held_bytes(self) -> int:
        """Memory that the waiting forward pass takes."""
        return 0 if self.ended else self._held.bytes_in_memory()

    def advance_to(self, pending: PendingLayer, past_others: bool) -> bool:
        """Run to the next call of ``pending``; return whether there is one.

        Without ``past_others``, the forward pass waits at the first pending layer.
        """
        while not self.ended and (past_others or self.place is None or self.place.installed):
            self._advance()
            if self.place is pending:
                break
        return self.place is pending

    def move_to_files(self) -> None:
        self._held.move_to_files()

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
            with self._held:
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
