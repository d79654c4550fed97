"""Atomic writing: a file or folder appears complete or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ghostify.types import GhostifyError

RECIPE = "ghostify.json"
"""The file that makes a folder a ghostify artifact."""

TRAINING = "recovery"
"""The folder in an artifact, perhaps one to come, with the files of its training."""

_REASONS = {
    errno.EACCES: "you have no permission to write there",
    errno.EROFS: "the file system is read-only",
    errno.ENOSPC: "the disk is full",
    errno.ENOTDIR: "a part of the path is a file",
}


def write_text(path: str | Path, text: str) -> None:
    """Write a file in UTF-8, or leave the old one if that fails."""
    with _naming(Path(path).resolve()), new_files(path) as file:
        file.write_text(text, encoding="utf-8")


@contextmanager
def new_files(path: str | Path) -> Iterator[Path]:
    """Yield a path in a temporary folder; at exit, files there move to the folder of ``path``.

    The file at ``path`` itself moves last. Nothing moves if the context raises.
    """
    path = Path(path).resolve()
    with _temporary_folder(path) as temporary:
        yield temporary / path.name
        files = sorted(temporary.iterdir(), key=lambda file: file.name == path.name)
        with _naming(path):
            for file in files:
                file.chmod(0o666 & ~_umask())
            for file in files:
                file.replace(path.parent / file.name)


@contextmanager
def new_folder(path: str | Path) -> Iterator[Path]:
    """Yield a temporary folder that takes the place of ``path`` at exit.

    Files in the old folder that the new one lacks are kept. Nothing changes if the context raises.
    """
    path = Path(path).resolve()
    with _naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with _temporary_folder(path) as temporary:
        yield temporary
        for file in temporary.rglob("*"):
            file.chmod(0o666 & ~_umask())
        temporary.chmod(0o777 & ~_umask())
        with _naming(path):
            _take_place(temporary, path)


def check_new(path: str | Path, *, force: bool) -> None:
    """Check that ``path`` is in a folder, writable, and free unless ``force``."""
    check_parent(path)
    _check_force(Path(path), force)


def check_parent(path: str | Path) -> None:
    """Check that ``path`` is in a folder, writable, and not a folder itself."""
    path = Path(path)
    if not path.parent.is_dir():
        raise GhostifyError(f"cannot write {path}: there is no folder {path.parent}")
    if path.is_dir():
        raise GhostifyError(f"cannot write {path}: it is a folder")
    check_writable(path)


def check_target(path: str | Path, *, force: bool) -> None:
    """Check that ``path`` is writable, and free or with ``force`` an artifact or an empty folder.

    A folder that holds only an unfinished training is free.
    """
    path = Path(path)
    names = {file.name for file in path.iterdir()} if path.is_dir() else None
    if path.exists() and (names is None or (names - {TRAINING} and RECIPE not in names)):
        raise GhostifyError(f"{path} exists and is not a ghostify artifact: choose another path")
    if names != {TRAINING}:
        _check_force(path, force)
    check_writable(path)


def check_writable(path: str | Path) -> None:
    """Check that a file or folder can be made at ``path``, by making a file and removing it."""
    parent = Path(path).resolve().parent
    while not parent.exists():
        parent = parent.parent
    try:
        with tempfile.NamedTemporaryFile(dir=parent, prefix=f".{Path(path).name}."):
            pass
    except OSError as error:
        reason = _REASONS.get(error.errno or 0) or str(error.strerror).lower()
        raise GhostifyError(f"cannot write {path}: {reason}") from error


def _check_force(path: Path, force: bool) -> None:
    if path.exists() and not force:
        raise GhostifyError(f"{path} exists: pass `force=True` to replace it")


@contextmanager
def _temporary_folder(path: Path) -> Iterator[Path]:
    with _naming(path):
        folder = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


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
def _naming(path: Path) -> Iterator[None]:
    """Make OSErrors name ``path`` instead of a temporary file."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
