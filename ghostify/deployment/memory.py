"""Memory in use, and its peak."""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress
from pathlib import Path

import torch

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


def describe_memory(device: torch.device) -> str:
    """Say what the difference of `peak_memory` and `reset_peak` measures."""
    what = "torch's CUDA memory" if device.type == "cuda" else "resident memory of the process"
    return f"{what}: peak of a run, above that before the session was opened"


def reset_peak(device: torch.device) -> int | None:
    """Free what can be freed, reset the peak and return the bytes in use.

    None if unknown: for CPU memory, only Linux tells.
    """
    gc.collect()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        return torch.cuda.memory_allocated(device)
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)
    try:
        _CLEAR.write_text("5", encoding="ascii")  # proc(5): resets the peak
        return _read("VmRSS")
    except OSError:
        return None


def peak_memory(device: torch.device) -> int:
    """Return the peak in bytes since `reset_peak`, if that returned a number."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device)
    return _read("VmHWM")


def _read(key: str) -> int:
    lines = _STATUS.read_text(encoding="ascii", errors="replace").splitlines()
    value = next(line for line in lines if line.startswith(f"{key}:"))
    return int(value.split()[1]) * 1024
