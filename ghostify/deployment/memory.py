"""How much memory is in use, and was at the peak."""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress
from pathlib import Path

import torch

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


def meaning_of_memory(device: torch.device) -> str:
    """What a difference of `peak` and `settled` is, for people."""
    if device.type == "cuda":
        return "torch's CUDA memory at the peak of a run, beyond that before the session was opened"
    return "resident memory of the process at the peak of a run, beyond that before its session"


def settled(device: torch.device) -> int | None:
    """Bytes in use once everything that is free is given back; from here on a new peak counts.

    None where the system does not tell: of the processor's memory only Linux does.
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


def peak(device: torch.device) -> int:
    """Bytes at the peak since `settled`, where that told any."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device)
    return _read("VmHWM")


def _read(key: str) -> int:
    lines = _STATUS.read_text(encoding="ascii", errors="replace").splitlines()
    value = next(line for line in lines if line.startswith(f"{key}:"))
    return int(value.split()[1]) * 1024
