"""What a runtime is: it prepares a network once, and opens sessions of it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TypeAlias

from torch import nn

from ghostify.exporters import Session
from ghostify.spec import Example

Opener: TypeAlias = Callable[[int], AbstractContextManager[Session]]
"""Opens a session with so many threads, for as long as the block lasts."""


@dataclass(frozen=True)
class Runtime:
    """One runtime.

    Attributes:
        prepare: what takes long and is the same for any number of threads, such as an export to
            a file that is there for as long as the block lasts. It may raise whatever the runtime
            raises at a network that it cannot take.
        check_installed: raises a `GhostifyError` that says what to install, or does nothing.
        on_cpu: whether it runs on the processor, wherever the network is.
    """

    prepare: Callable[[nn.Module, Example], AbstractContextManager[Opener]]
    check_installed: Callable[[], None] = lambda: None
    on_cpu: bool = False
