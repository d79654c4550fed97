"""Files that are whole or not there: written beside their place, then renamed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ghostify.types import GhostifyError

RECIPE = "ghostify.json"
"""The file that makes a folder a ghostify artifact."""


def write_text(path: str | Path, text: str) -> None:
    """Replace the file at ``path``, or leave it as it was if anything goes wrong.

    Raises:
        OSError: if it cannot be written.
    """
    path = Path(path).resolve()
    with _names_of(path):
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    beside = Path(temporary)
    try:
        with _names_of(path), os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        with _names_of(path):
            beside.chmod(0o666 & ~_umask())
            beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


@contextmanager
def new_folder(path: str | Path) -> Iterator[Path]:
    """A folder to fill with files, which takes its place at ``path`` when the block ends well.

    Files of the same name that stood at ``path`` are removed only after the new folder is
    complete; other files there stay.

    Raises:
        OSError: if it cannot be written.
    """
    path = Path(path).resolve()
    with _names_of(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        yield beside
        for file in beside.rglob("*"):
            file.chmod(0o666 & ~_umask())
        beside.chmod(0o777 & ~_umask())
        with _names_of(path):
            _take_place(beside, path)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


@contextmanager
def new_files(path: str | Path) -> Iterator[Path]:
    """A path to write a file to, and others beside it.

    All take their places beside ``path``, the file itself last, when the block ends well.

    Raises:
        OSError: if they cannot be written.
    """
    path = Path(path).resolve()
    with _names_of(path):
        beside = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        yield beside / path.name
        files = sorted(beside.iterdir(), key=lambda file: file.name == path.name)
        with _names_of(path):
            for file in files:
                file.chmod(0o666 & ~_umask())
            for file in files:
                file.replace(path.parent / file.name)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def check_new(path: str | Path, *, force: bool) -> None:
    """See that the file ``path`` may be written, before the work.

    Raises:
        GhostifyError: if it is there and ``force`` does not allow to replace it, or as
            `check_parent` does.
    """
    check_parent(path)
    if Path(path).exists() and not force:
        raise GhostifyError(f"{path} exists: write elsewhere, or replace it with --force")


def check_parent(path: str | Path) -> None:
    """See that there is a folder to write the file ``path`` in, before the work.

    Raises:
        GhostifyError: if there is none, or ``path`` is itself a folder.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise GhostifyError(f"cannot write {path}: there is no folder {path.parent}")
    if path.is_dir():
        raise GhostifyError(f"cannot write {path}: it is a folder")


def check_target(path: str | Path, *, force: bool) -> None:
    """See that an artifact may be saved to ``path``; cheap, so it can be asked before the work.

    Raises:
        GhostifyError: if something is there that ``force`` does not allow to replace.
    """
    path = Path(path)
    if not path.exists():
        return
    if not force:
        raise GhostifyError(f"{path} exists: save elsewhere, or replace it with --force")
    if not path.is_dir() or (any(path.iterdir()) and not (path / RECIPE).is_file()):
        raise GhostifyError(f"{path} exists and is no ghostify artifact: it is not replaced")


def _take_place(new: Path, path: Path) -> None:
    if not path.exists():
        new.rename(path)
        return
    old = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.old."))
    try:
        path.rename(old)
    except BaseException:
        old.rmdir()
        raise
    try:
        new.rename(path)
    except BaseException:
        old.rename(path)
        raise
    for other in old.iterdir():
        if not (path / other.name).exists():
            other.rename(path / other.name)
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _names_of(path: Path) -> Iterator[None]:
    """Let errors speak of ``path``, not of what was written beside it."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
