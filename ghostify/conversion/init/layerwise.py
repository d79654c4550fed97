"""A model that runs on many batches at once, and waits wherever a layer has still to be made."""

from __future__ import annotations

import threading
import weakref
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from ghostify.conversion.init.residuals import Branches, Term
from ghostify.conversion.init.scratch import give_back_free_memory, scratch
from ghostify.types import Example, GhostifyError, split_example
from ghostify.types.errors import first_line

WAITING_BYTES = 2**26

_current = threading.local()


class PendingLayer(nn.Module):
    """Stands where a layer will be; a pass that comes here waits until there is one.

    Attributes:
        layer: what runs here: the original layer, and later the one that is `installed`.
        installed: whether passes need no longer wait.
        is_term: whether they go on to the sum that the layer is the last term of, and wait there,
            where its other term is known. The layer's own maps are then made again.
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
        traveller: BatchRun = _current.traveller
        if not self.is_term:
            traveller.wait_at(self, args)
            return self.layer(*args, **kwargs)
        provisional = self.layer(*args, **kwargs)
        traveller.branches.follow((self, args), provisional)
        return provisional


def exchange(model: nn.Module, others: Mapping[nn.Module, nn.Module]) -> None:
    """Put other modules in place of some, under every name that they have; in place."""
    for parent in list(model.modules()):
        for name, child in list(parent._modules.items()):
            if child is not None and child in others:
                setattr(parent, name, others[child])


class LayerwiseRunner(AbstractContextManager["LayerwiseRunner"]):
    """All batches go through the model together, from one pending layer to the next.

    Each batch is on its way in a thread of its own, of which only one runs at any time. A pass
    that waits holds the maps that it still needs; what these together take above ``limit`` bytes
    is moved to temporary files. Where it cannot be, on another device, passes are given up, and
    begun again for the next layer: slower, with the same result.
    """

    def __init__(
        self, model: nn.Module, batches: Sequence[Example], limit: int = WAITING_BYTES
    ) -> None:
        self.model = model
        self.batches = batches
        self.limit = limit
        self.waiting: dict[int, BatchRun] = {}

    def __exit__(self, *_: object) -> None:
        for traveller in self.waiting.values():
            traveller.give_up()
        self.waiting.clear()

    def arrivals(self, pending: PendingLayer, calls: int = 1) -> Iterator[Arrival]:
        """Bring every batch to ``pending``.

        A layer that is called several times in a pass runs as it is meanwhile, so that all its
        inputs are seen, and such a pass is not gone on with.
        """
        held = 0
        for number, batch in enumerate(self.batches):
            traveller = self.waiting.pop(number, None) or BatchRun(self.model, batch)
            self.waiting[number] = traveller
            seen = 0
            there = traveller.place is pending or traveller.go_on_to(pending, calls > 1)
            while there:
                yield Arrival(number, seen, traveller.arguments, traveller.other)
                seen += 1
                there = seen < calls and traveller.go_on_to(pending, True)
            own = traveller.held_bytes
            if held + own > self.limit:
                traveller.put_aside()
                own = traveller.held_bytes
            if calls > 1 or traveller.ended or held + own > self.limit:
                self.waiting.pop(number).give_up()
            else:
                held += own
            give_back_free_memory()


@dataclass(frozen=True)
class Arrival:
    """A pass that waits at a layer.

    Attributes:
        batch: the batch's number.
        call: the call's number in this batch.
        arguments: of the call, the positional ones.
        other: where the layer is the last term of a sum, the other term.
    """

    batch: int
    call: int
    arguments: tuple[Any, ...]
    other: Tensor | None = None


class _GivenUp(BaseException):
    """Ends a pass from inside."""


class BatchRun:
    """One pass of one batch through the model."""

    def __init__(self, model: nn.Module, batch: Example) -> None:
        self.model = model
        self.batch: Example = batch
        self.place: PendingLayer | None = None
        self.arguments: tuple[Any, ...] = ()
        self.other: Tensor | None = None
        self.branches: Branches[tuple[PendingLayer, tuple[Any, ...]]] = Branches(self._wait_at_sum)
        self.ended = False
        self._given_up = False
        self._error: BaseException | None = None
        self._results = _Results(model)
        self._may_go = threading.Semaphore(0)
        self._has_stopped = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._travel, daemon=True)
        self._fresh = True

    def go_on_to(self, pending: PendingLayer, past_others: bool) -> bool:
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

    def put_aside(self) -> None:
        """Move what the pass holds to files."""
        self._results.put_aside()

    def give_up(self) -> None:
        """End the pass and forget its maps."""
        self._given_up = True
        if not self._fresh and not self.ended:
            self._may_go.release()
            self._thread.join()
        self.arguments, self.other = (), None

    @property
    def held_bytes(self) -> int:
        """What the pass keeps in memory while it waits."""
        return 0 if self.ended else self._results.bytes_in_memory()

    def wait_at(
        self, place: PendingLayer, arguments: tuple[Any, ...], other: Tensor | None = None
    ) -> None:
        """Called in the pass itself: hand over to the other side until told to go on."""
        self.place, self.arguments, self.other = place, arguments, other
        del arguments, other
        self._has_stopped.release()
        self._may_go.acquire()
        self.place, self.arguments, self.other = None, (), None
        if self._given_up:
            raise _GivenUp

    def _wait_at_sum(self, term: Term[tuple[PendingLayer, tuple[Any, ...]]], other: Tensor) -> None:
        pending, arguments = term.key
        self.wait_at(pending, arguments, other)
        if pending.installed:
            term.maps.copy_(term.normalise(pending.layer(*arguments)))

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
            with torch.no_grad(), self._results, self.branches:
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
        self.model = model
        self._results: list[weakref.ref[Tensor]] = []
        self._files: set[int] = set()

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        leaves = [result] if isinstance(result, Tensor) else tree_leaves(result)
        self._results += [weakref.ref(leaf) for leaf in leaves if isinstance(leaf, Tensor)]
        return result

    def bytes_in_memory(self) -> int:
        """The size of all results, but for parameters and buffers."""
        return sum(sharing[0].untyped_storage().nbytes() for sharing in self._in_memory())

    def put_aside(self) -> None:
        """Let the results lie in files from now on."""
        for sharing in self._in_memory():
            storage = sharing[0].untyped_storage()
            if storage.device.type == "cpu":
                file = scratch((storage.nbytes(),), torch.uint8).untyped_storage()
                file.copy_(storage, False)
                for tensor in sharing:
                    place = tensor.storage_offset(), tensor.size(), tensor.stride()
                    tensor.set_(file, *place)
                self._files.add(file.data_ptr())

    def _in_memory(self) -> list[list[Tensor]]:
        """Results by the storage that they share."""
        alive = [tensor for ref in self._results if (tensor := ref()) is not None]
        self._results = [weakref.ref(tensor) for tensor in alive]
        found = defaultdict(list)
        for tensor in alive:
            found[tensor.untyped_storage().data_ptr()].append(tensor)
        self._files &= found.keys()
        lasting = (*self.model.parameters(), *self.model.buffers())
        elsewhere = self._files | {t.untyped_storage().data_ptr() for t in lasting} | {0}
        return [sharing for place, sharing in found.items() if place not in elsewhere]
