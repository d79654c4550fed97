"""Progress of long operations."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int, float | None], None]
"""Called with what has been done (a layer's name), how many of how many, and its residual error."""


def silent(name: str, done: int, total: int, residual: float | None) -> None:
    """No progress to be shown."""
