"""Move the tensors of a forward pass to temporary files, and free memory."""

from __future__ import annotations

import ctypes
import math
import os
import tempfile
import weakref
from collections import defaultdict
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

_ARENA_MAX = -8  # of malloc.h
_ARCHIVE_NUMBERS = 2**22


def scratch(shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> Tensor:
    """Return an uninitialized tensor in a temporary file, which the tensor's end deletes.

    The system caches the file in free memory. ``TMPDIR`` sets the folder.
    """
    size = math.prod(shape)
    if size == 0:
        return torch.empty(shape, dtype=dtype)
    descriptor, path = tempfile.mkstemp(prefix="ghostify-")
    try:
        # Allocate now: a mapped file that runs out of disk space would end the process.
        reserve = getattr(os, "posix_fallocate", lambda file, _, end: os.truncate(file, end))
        reserve(descriptor, 0, size * dtype.itemsize)
        return torch.from_file(path, shared=True, size=size, dtype=dtype).view(shape)
    finally:
        os.close(descriptor)
        Path(path).unlink()


class ScratchMemory:
    """A temporary file that tensors take by turns: the system finds room for its pages once."""

    def __init__(self) -> None:
        self._file = torch.empty(0)

    def tensors(self, *shapes: tuple[int, ...]) -> list[Tensor]:
        """Return tensors of any content, which end those that were returned before."""
        sizes = list(map(math.prod, shapes))
        if sum(sizes) > len(self._file):
            self._file = torch.empty(0)
            self._file = scratch((sum(sizes),))
        parts = torch.split(self._file[: sum(sizes)], sizes)
        return [part.view(shape) for part, shape in zip(parts, shapes, strict=True)]


class ScratchArchive:
    """Copies of tensors in few temporary files, which end with the last of their tensors."""

    def __init__(self) -> None:
        self._free = torch.empty(0)

    def keep(self, values: Tensor) -> Tensor:
        """Return a copy in float32."""
        size = values.numel()
        if size > len(self._free):
            self._free = scratch((max(size, _ARCHIVE_NUMBERS),))
        kept, self._free = self._free[:size].view(values.shape), self._free[size:]
        return kept.copy_(values)


def trim_memory() -> None:
    """Return free memory to the system: glibc keeps some for every thread that ever ran."""
    _call_libc("malloc_trim", 0)


def storages_of(model: nn.Module) -> set[int]:
    """Return the addresses of the storages of parameters and buffers."""
    tensors = (*model.parameters(), *model.buffers())
    return {tensor.untyped_storage().data_ptr() for tensor in tensors}


def share_memory_of_threads() -> None:
    """Let threads that start from now on share one heap.

    glibc gives each of up to eight per core its own, and keeps there what the thread has freed. It
    is worth half of the memory of a calibrated MobileNetV2, and costs nothing, as one thread runs
    at a time.
    """
    _call_libc("mallopt", _ARENA_MAX, 2)  # one for the main thread


def _call_libc(name: str, *arguments: int) -> None:
    """Call a function of the C library, if it has it."""
    function = getattr(ctypes.CDLL(None), name, None) if os.name == "posix" else None
    if function is not None:
        function(*arguments)


class HeldTensors(TorchFunctionMode):
    """Tracks the tensors that a forward pass still holds."""

    def __init__(self) -> None:
        super().__init__()
        self._results: list[weakref.ref[Tensor]] = []

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        leaves = [result] if isinstance(result, Tensor) else tree_leaves(result)
        self._results += [weakref.ref(leaf) for leaf in leaves if isinstance(leaf, Tensor)]
        return result

    def bytes_in_memory(self, lasting: Collection[int] = ()) -> int:
        """Return the bytes of all tensors in memory but those in ``lasting`` storages."""
        return sum(tensors[0].untyped_storage().nbytes() for tensors in self._in_memory(lasting))

    def move_to_files(self, lasting: Collection[int] = ()) -> int:
        """Move tensors on the CPU to temporary files, in place; return the bytes left in memory."""
        left = 0
        for tensors in self._in_memory(lasting):
            storage = tensors[0].untyped_storage()
            if storage.device.type != "cpu":
                left += storage.nbytes()
                continue
            file = scratch((storage.nbytes(),), torch.uint8).untyped_storage()
            file.copy_(storage, False)
            for tensor in tensors:
                tensor.set_(file, tensor.storage_offset(), tensor.size(), tensor.stride())
        return left

    def _in_memory(self, lasting: Collection[int]) -> list[list[Tensor]]:
        """The tensors, grouped by the storage that they share."""
        alive = [tensor for ref in self._results if (tensor := ref()) is not None]
        self._results = [weakref.ref(tensor) for tensor in alive]
        groups = defaultdict(list)
        for tensor in alive:
            storage = tensor.untyped_storage()
            address = storage.data_ptr()
            if address and address not in lasting and storage.filename is None:
                groups[address].append(tensor)
        return list(groups.values())
