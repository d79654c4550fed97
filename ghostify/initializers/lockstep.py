"""A model that runs on many batches at once, and waits wherever a layer has still to be made."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from ghostify.spec import Example, GhostifyError, split_example
from ghostify.spec.errors import first_line

WAITING_BYTES = 2**29

_current = threading.local()


class Pending(nn.Module):
    """Stands where a layer will be; a pass that comes here waits until there is one.

    Attributes:
        layer: what runs here: the original layer, and later the one that is `installed`.
        installed: whether passes need no longer wait.
    """

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer
        self.installed = False

    def install(self, layer: nn.Module) -> None:
        self.layer = layer
        self.installed = True

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        if not self.installed:
            _current.traveller.wait_at(self, args)
        return self.layer(*args, **kwargs)


def exchange(model: nn.Module, others: Mapping[nn.Module, nn.Module]) -> None:
    """Put other modules in place of some, under every name that they have; in place."""
    for parent in list(model.modules()):
        for name, child in list(parent._modules.items()):
            if child is not None and child in others:
                setattr(parent, name, others[child])


class Lockstep(AbstractContextManager["Lockstep"]):
    """All batches go through the model together, from one pending layer to the next.

    Each batch is on its way in a thread of its own, of which only one runs at any time. A pass
    that waits holds the maps that it still needs. Where these together would take more than
    ``limit`` bytes, passes are given up, and begun again for the next layer: slower, with the same
    result.
    """

    def __init__(
        self, model: nn.Module, batches: Sequence[Example], limit: int = WAITING_BYTES
    ) -> None:
        self.model = model
        self.batches = batches
        self.limit = limit
        self.waiting: dict[int, Traveller] = {}

    def __exit__(self, *_: object) -> None:
        for traveller in self.waiting.values():
            traveller.give_up()
        self.waiting.clear()

    def arrivals(self, pending: Pending, calls: int = 1) -> Iterator[tuple[int, int, Any]]:
        """Bring every batch to ``pending``.

        A layer that is called several times in a pass runs as it is meanwhile, so that all its
        inputs are seen, and such a pass is not gone on with.

        Yields:
            the batch's number, the call's number in this batch, and the positional arguments.
        """
        held = 0
        for number, batch in enumerate(self.batches):
            traveller = self.waiting.pop(number, None) or Traveller(self.model, batch)
            self.waiting[number] = traveller
            seen = 0
            there = traveller.place is pending or traveller.go_on_to(pending, calls > 1)
            while there:
                yield number, seen, traveller.arguments
                seen += 1
                there = seen < calls and traveller.go_on_to(pending, True)
            held += traveller.held_bytes
            if calls > 1 or traveller.ended or held > self.limit:
                held -= traveller.held_bytes
                self.waiting.pop(number).give_up()


class _GivenUp(BaseException):
    """Ends a pass from inside."""


class Traveller:
    """One pass of one batch through the model."""

    def __init__(self, model: nn.Module, batch: Example) -> None:
        self.model = model
        self.batch: Example = batch
        self.place: Pending | None = None
        self.arguments: tuple[Any, ...] = ()
        self.ended = False
        self._given_up = False
        self._error: BaseException | None = None
        self._results = _Results(model)
        self._may_go = threading.Semaphore(0)
        self._has_stopped = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._travel, daemon=True)
        self._fresh = True

    def go_on_to(self, pending: Pending, past_others: bool) -> bool:
        """Run until ``pending`` is called next; whether it was.

        Args:
            past_others: whether to run through other layers that are pending. Otherwise the pass
                waits at the first of them, as one does that does not come by ``pending`` at all.
        """
        while not self.ended:
            if past_others or self.place is None or self.place.installed:
                self._advance()
            if self.place is pending:
                return True
            if self.place is not None and not self.place.installed and not past_others:
                return False
        return False

    def give_up(self) -> None:
        """End the pass and forget its maps."""
        self._given_up = True
        if not self._fresh and not self.ended:
            self._may_go.release()
            self._thread.join()
        self.arguments = ()

    @property
    def held_bytes(self) -> int:
        """What the pass keeps in memory while it waits."""
        return 0 if self.ended else self._results.alive_bytes()

    def wait_at(self, place: Pending, arguments: tuple[Any, ...]) -> None:
        """Called in the pass itself: hand over to the other side until told to go on."""
        self.place, self.arguments = place, arguments
        del arguments
        self._has_stopped.release()
        self._may_go.acquire()
        self.place, self.arguments = None, ()
        if self._given_up:
            raise _GivenUp

    def _advance(self) -> None:
        if self._fresh:
            self._fresh = False
            self._thread.start()
        else:
            self._may_go.release()
        self._has_stopped.acquire()
        if self._error is not None:
            raise GhostifyError(
                f"{type(self.model).__name__} does not run on the calibration data: "
                f"{first_line(self._error)}"
            ) from self._error

    def _travel(self) -> None:
        _current.traveller = self
        args, kwargs = split_example(self.batch)
        try:
            with torch.no_grad(), self._results:
                self.model(*args, **kwargs)
        except _GivenUp:
            pass
        except BaseException as error:
            self._error = error
        self.ended = True
        self.place = None
        self._has_stopped.release()


class _Results(TorchFunctionMode):
    """Knows which results of torch's functions are still in use."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self._lasting = {t.data_ptr() for t in (*model.parameters(), *model.buffers())}
        self._results: list[weakref.ref[Tensor]] = []

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        leaves = [result] if isinstance(result, Tensor) else tree_leaves(result)
        self._results += [weakref.ref(leaf) for leaf in leaves if isinstance(leaf, Tensor)]
        return result

    def alive_bytes(self) -> int:
        alive = [tensor for ref in self._results if (tensor := ref()) is not None]
        self._results = [weakref.ref(tensor) for tensor in alive]
        storages = {s.data_ptr(): s.nbytes() for s in (t.untyped_storage() for t in alive)}
        return sum(size for place, size in storages.items() if place not in self._lasting)
