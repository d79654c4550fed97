"""Read regular files only: a pipe or a device would keep the reader waiting."""

import os
from pathlib import Path

from ghostify.types.errors import GhostifyError


def check_regular(path: str | os.PathLike[str]) -> None:
    """Check that ``path`` is a regular file, or a link to one.

    Raises:
        GhostifyError: if it is a folder, a pipe, a socket or a device.
        OSError: if there is no such file.
    """
    if not Path(path).is_file():
        Path(path).stat()
        raise GhostifyError(f"{os.fspath(path)} is not a regular file")


def read_regular(path: str | os.PathLike[str]) -> bytes:
    """Return the bytes of a regular file.

    Raises:
        GhostifyError: as `check_regular` does.
        OSError: if it cannot be read.
    """
    check_regular(path)
    return Path(path).read_bytes()
