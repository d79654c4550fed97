"""How far a long operation is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Progress:
    """One moment of a long operation.

    Attributes:
        task: what is being done, such as ``converting``.
        done: units that are done: layers, batches, or a share of the whole.
        total: units in all; None where that is not known.
        detail: the unit at hand, such as the name of a layer and its error.
    """

    task: str
    done: float
    total: float | None = None
    detail: str = ""


ProgressCallback: TypeAlias = Callable[[Progress], None]
ShowProgress: TypeAlias = bool | ProgressCallback
"""True for a bar on the terminal or in the notebook, False for none, or a function to call."""
