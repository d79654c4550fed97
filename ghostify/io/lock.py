"""Locks that end with their process, however that ends."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_locked: set[int] = set()
"""Descriptors of the folders that this process has locked."""


@contextmanager
def lock(folder: Path) -> Iterator[bool | None]:
    """Lock a folder while the context lasts; its name may change in the meantime.

    Yields:
        True if the lock was free, False if another process or thread has it; None, also false, if
        there is no such folder or the file system knows no locks.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except (OSError, AttributeError):  # removed in the meantime; Windows
        yield None
        return
    _locked.add(descriptor)
    try:
        yield _try_lock(descriptor)
    finally:
        if descriptor in _locked:  # else this is a fork
            _locked.remove(descriptor)
            os.close(descriptor)


def _try_lock(descriptor: int) -> bool | None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (OSError, AttributeError) as error:
        return False if getattr(error, "errno", 0) in (errno.EWOULDBLOCK, errno.EACCES) else None
    return True


def _forget() -> None:
    """Close the locked folders in a fork, which would keep them locked after its parent's end."""
    for descriptor in _locked:
        os.close(descriptor)
    _locked.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
