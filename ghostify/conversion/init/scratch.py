"""What need not be in memory all at once: tensors in files without a name, and freed memory."""

from __future__ import annotations

import ctypes
import math
import os
import tempfile
from pathlib import Path

import torch
from torch import Tensor


def scratch(shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> Tensor:
    """An empty tensor in a temporary file that is gone as soon as the tensor is.

    The system keeps in memory what it has room for. Temporary files lie where ``TMPDIR`` says.

    Raises:
        OSError: if there is no room for the file.
    """
    size = math.prod(shape)
    if size == 0:
        return torch.empty(shape, dtype=dtype)
    descriptor, path = tempfile.mkstemp(prefix="ghostify-")
    try:
        _reserve(descriptor, size * dtype.itemsize)
        return torch.from_file(path, shared=True, size=size, dtype=dtype).view(shape)
    finally:
        os.close(descriptor)
        Path(path).unlink()


def _reserve(descriptor: int, size: int) -> None:
    """Claim the room now: a file that runs out of it while mapped would end the process."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
    else:
        os.truncate(descriptor, size)


def give_back_free_memory() -> None:
    """Have the allocator return what is free: glibc keeps it for every thread that ever ran."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
    if trim is not None:
        trim(0)
