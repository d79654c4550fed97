"""The recipe of an artifact, ``ghostify.json``."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ghostify.io.atomic import RECIPE
from ghostify.io.checksummed_json import checksummed, read_checksummed
from ghostify.types import GhostifyError

_FORMAT = "ghostify/1"


def read_recipe(path: Path) -> dict[str, Any]:
    """Read the recipe of the artifact at ``path``.

    Raises:
        GhostifyError: if there is none, or it is damaged.
        OSError: if it cannot be read.
    """
    file = path / RECIPE
    if not file.is_file():
        raise GhostifyError(f"{path} is not a ghostify artifact: it has no {RECIPE}")
    return read_checksummed(file, _FORMAT)


@contextmanager
def naming_recipe(path: Path) -> Iterator[None]:
    """Make errors of the recipe's fields name the recipe of the artifact at ``path``.

    Raises:
        GhostifyError: for a field that is missing or invalid.
    """
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise GhostifyError(f"{path / RECIPE} has a missing or invalid field: {error}") from error


def write_recipe(path: Path, entries: dict[str, Any]) -> None:
    """Write the recipe of the artifact at ``path``.

    Raises:
        OSError: if it cannot be written.
    """
    (path / RECIPE).write_text(checksummed(_FORMAT, entries), encoding="utf-8")


def file_digest(file: Path) -> str:
    """Return the SHA-256 of a file."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
