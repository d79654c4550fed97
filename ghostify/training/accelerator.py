"""Hugging Face Accelerate: devices, processes, precision."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ghostify.data.batches import find_device
from ghostify.types import GhostifyError, RecoverySettings
from ghostify.types.errors import first_line, install

if TYPE_CHECKING:
    from accelerate import Accelerator


@contextmanager
def accelerated(settings: RecoverySettings, device: str | None = None) -> Iterator[Accelerator]:
    """Yield an Accelerator for a device, or for the available devices and processes."""
    try:
        from accelerate import Accelerator, DistributedDataParallelKwargs
        from accelerate.state import AcceleratorState
    except ImportError as error:
        raise GhostifyError(f"recover needs Accelerate: {install('train')}") from error
    on_cpu = not torch.accelerator.is_available()  # CPU processes are not detected otherwise
    if device is not None:
        on_cpu = _chosen(device).type == "cpu"
    is_bf16 = not on_cpu and torch.cuda.is_available() and torch.cuda.is_bf16_supported()
    names = {"auto": "bf16" if is_bf16 else "no", "fp32": "no"}
    # Frozen BatchNorms have the same buffers in all processes.
    distributed = DistributedDataParallelKwargs(broadcast_buffers=not settings.freeze_bn)
    is_first = not AcceleratorState._shared_state
    if is_first and device is not None:  # an earlier training may have been on another one
        AcceleratorState._reset_state(reset_partial_state=True)
    try:
        accelerator = Accelerator(
            cpu=on_cpu,
            mixed_precision=names.get(settings.precision, settings.precision),
            kwargs_handlers=[distributed],
        )
    except ValueError as error:
        reason = first_line(error)
        raise GhostifyError(f"`precision` (={settings.precision!r}): {reason}") from error
    try:
        yield accelerator
    finally:
        if is_first:  # the precision is process-wide state; the next training may need another
            AcceleratorState._reset_state(reset_partial_state=device is not None)


def _chosen(name: str) -> torch.device:
    """Find the device of this process and make it the current one."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise GhostifyError(f"`device` (={name!r}) is for one process: leave it out")
    device = find_device(name)
    if device.index is not None:
        torch.accelerator.set_device_index(device.index)
    return device


def reduce_sum(accelerator: Accelerator, totals: Tensor) -> Tensor:
    """Return the sum of ``totals`` over all processes, on the CPU."""
    if accelerator.num_processes == 1:
        return totals
    return accelerator.reduce(totals.to(accelerator.device), "sum").cpu()  # type: ignore[no-any-return]
