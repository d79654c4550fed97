"""Hugging Face Accelerate: devices, processes and precision."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from ghostify.types import GhostifyError, RecoverySettings
from ghostify.types.errors import first_line

if TYPE_CHECKING:
    from accelerate import Accelerator


@contextmanager
def accelerated(settings: RecoverySettings) -> Iterator[Accelerator]:
    """For the devices and processes that there are, while the block lasts.

    Raises:
        GhostifyError: if Accelerate is not installed, or cannot have this precision here.
    """
    try:
        from accelerate import Accelerator, DistributedDataParallelKwargs
        from accelerate.state import AcceleratorState
    except ImportError as error:
        raise GhostifyError("recovering needs Accelerate: pip install 'ghostify[train]'") from error
    precision = {"auto": _best_precision(), "fp32": "no"}.get(
        settings.precision, settings.precision
    )
    # Batch norms change in one setting only.
    distributed = DistributedDataParallelKwargs(broadcast_buffers=not settings.freeze_bn)
    first = not AcceleratorState._shared_state
    try:
        made = Accelerator(
            cpu=not torch.accelerator.is_available(),  # said, or processes there do not meet
            mixed_precision=precision,
            kwargs_handlers=[distributed],
        )
    except ValueError as error:
        raise GhostifyError(f"precision {settings.precision!r}: {first_line(error)}") from error
    try:
        yield made
    finally:
        if first:  # the next training may be of another precision
            AcceleratorState._reset_state()


def expect_unused(accelerator: Accelerator, *, always_the_same: bool) -> None:
    """Not every parameter need be in every stage; nor in every step, unless always the same are."""
    handler = accelerator.ddp_handler
    if handler is not None:
        handler.static_graph = always_the_same
        handler.find_unused_parameters = not always_the_same


def _best_precision() -> str:
    return "bf16" if torch.cuda.is_available() and torch.cuda.is_bf16_supported() else "no"
