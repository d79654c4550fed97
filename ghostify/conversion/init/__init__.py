"""What a Ghost module is filled with. One file each, and one line here."""

from __future__ import annotations

from collections.abc import Callable

from ghostify.conversion.init.from_data import from_data
from ghostify.conversion.init.from_weights import from_weights
from ghostify.conversion.init.random import draw
from ghostify.conversion.init.task import Task
from ghostify.types import GhostifyError

Initializer = Callable[[Task], dict[str, float]]

INITIALIZERS: dict[str, Initializer] = {
    "random": draw,
    "weights": from_weights,
    "calibrated": from_data,
}

__all__ = ["INITIALIZERS", "Initializer", "Task", "find_initializer"]


def find_initializer(name: str) -> Initializer:
    """The one of this name.

    Raises:
        GhostifyError: listing those there are, if there is none.
    """
    if name not in INITIALIZERS:
        raise GhostifyError(f"init (={name!r}) must be one of {', '.join(INITIALIZERS)}")
    return INITIALIZERS[name]
