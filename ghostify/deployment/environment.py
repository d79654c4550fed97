"""What networks are timed on: the processor, and the version of the runtime."""

from __future__ import annotations

import platform
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

_PACKAGES = {"eager": "torch", "compile": "torch"}


def processor(device: torch.device | None = None) -> str:
    """Return the model of a device, such as ``Intel(R) Xeon(R) Processor``. Default: the CPU."""
    if device is not None and device.type == "cuda":
        return torch.cuda.get_device_name(device)
    with suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(": ")[1] for line in lines if line.startswith("model name"))
    return platform.processor() or platform.machine()


def runtime_version(runtime: str) -> str:
    """Return the version of a runtime's package; an empty string if it is not installed."""
    library = runtime.removesuffix("-int8")
    try:
        return version(_PACKAGES.get(library, library))
    except PackageNotFoundError:
        return ""
