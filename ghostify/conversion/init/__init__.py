"""Initializers: where Ghost modules get their weights from."""

from __future__ import annotations

from collections.abc import Callable

from ghostify.conversion.init.calibrated import init_calibrated
from ghostify.conversion.init.random import init_random
from ghostify.conversion.init.task import Task
from ghostify.conversion.init.weights import init_from_weights
from ghostify.types import GhostifyError

Initializer = Callable[[Task], dict[str, float]]
"""Fills the Ghost modules of a task; returns the residual error by site."""

INITIALIZERS: dict[str, Initializer] = {
    "random": init_random,
    "weights": init_from_weights,
    "calibrated": init_calibrated,
}

__all__ = ["INITIALIZERS", "Initializer", "Task", "find_initializer"]


def find_initializer(name: str) -> Initializer:
    """Return the initializer of this name.

    Raises:
        GhostifyError: if there is none; the message lists all names.
    """
    if name not in INITIALIZERS:
        raise GhostifyError(f"`init` (={name!r}) must be one of {', '.join(INITIALIZERS)}")
    return INITIALIZERS[name]
