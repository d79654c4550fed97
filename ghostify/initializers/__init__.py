"""What a Ghost module is filled with. One file each, and one line here."""

from __future__ import annotations

from collections.abc import Callable

from ghostify.initializers.calibrated import from_data
from ghostify.initializers.random import draw
from ghostify.initializers.task import Progress, Task, silent
from ghostify.initializers.weights import from_weights
from ghostify.spec import GhostifyError

Initializer = Callable[[Task], dict[str, float]]

INITIALIZERS: dict[str, Initializer] = {
    "random": draw,
    "weights": from_weights,
    "calibrated": from_data,
}

__all__ = ["INITIALIZERS", "Initializer", "Progress", "Task", "find_initializer", "silent"]


def find_initializer(name: str) -> Initializer:
    """The one of this name.

    Raises:
        GhostifyError: listing those there are, if there is none.
    """
    if name not in INITIALIZERS:
        raise GhostifyError(f"init (={name!r}) must be one of {', '.join(INITIALIZERS)}")
    return INITIALIZERS[name]
