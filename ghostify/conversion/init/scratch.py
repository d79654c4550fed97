"""Tensors in temporary files, and memory given back to the system."""

from __future__ import annotations

import ctypes
import math
import os
import tempfile
from pathlib import Path

import torch
from torch import Tensor


def scratch(shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> Tensor:
    """Return an uninitialized tensor in a temporary file, which the tensor's end deletes.

    The system caches the file in free memory. ``TMPDIR`` sets the folder.

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
    """Allocate now: a mapped file that runs out of disk space would end the process."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
    else:
        os.truncate(descriptor, size)


def trim_memory() -> None:
    """Return free memory to the system: glibc keeps some for every thread that ever ran."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
    if trim is not None:
        trim(0)
