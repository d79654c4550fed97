"""Ctrl-C and a polite kill: heard when a step is over."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def interruptions() -> Iterator[Callable[[], bool]]:
    """Whether the user has asked to end; a second time ends at once.

    Only the main thread hears signals; elsewhere nothing changes.
    """
    asked = False

    def hear(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True

    heard = threading.current_thread() is threading.main_thread()
    before = {number: signal.signal(number, hear) for number in _SIGNALS} if heard else {}
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
