"""Atomic writing: a file or folder appears complete or not at all."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ghostify.io.staging import naming, settle, staging_folder, take_place, take_places
from ghostify.types import GhostifyError

RECIPE = "ghostify.json"
"""The file that makes a folder a ghostify artifact."""

WEIGHTS = "model.safetensors"
"""The file in an artifact with its weights."""

MEASUREMENTS = "measurements"
"""The folder in an artifact with a file for each measurement."""

TRAINING = "recovery"
"""The folder in an artifact, perhaps one to come, with the files of its training."""

TRIED = "trials"
"""The folder in an artifact, perhaps one to come, with the networks that `compress` tried."""

_REASONS = {
    errno.EACCES: "you have no permission to write there",
    errno.EROFS: "the file system is read-only",
    errno.ENOSPC: "the disk is full",
    errno.ENOTDIR: "a part of the path is a file",
}


def write_text(path: str | Path, text: str) -> None:
    """Write a file in UTF-8, or leave the old one if that fails.

    Bytes of file names that are not UTF-8 (lone surrogates) become escapes, which JSON reads back.
    """
    with new_files(path) as file, naming(Path(path).resolve()):
        file.write_text(text, encoding="utf-8", errors="backslashreplace")


@contextmanager
def new_files(path: str | Path) -> Iterator[Path]:
    """Yield a path in a temporary folder; at exit, files there move to the folder of ``path``.

    They move together, or not at all if the context raises. What a killed process leaves is
    finished or removed when ``path`` is written or checked again.
    """
    path = Path(path).resolve()
    with staging_folder(path) as folder:
        yield folder / path.name
        take_places(folder, path)


@contextmanager
def new_folder(path: str | Path) -> Iterator[Path]:
    """Yield a temporary folder that becomes ``path`` at exit, unless the context raises.

    If there is a folder at ``path``, it stays, with the files that the new one lacks: it may be a
    mounted volume. The new files take their places in it together, as in `new_files`.
    """
    path = Path(path).resolve()
    if path.is_dir():
        with new_files(path / RECIPE) as file:
            yield file.parent
        return
    with naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with staging_folder(path) as folder:
        yield folder
        take_place(folder, path)


def inside(folder: Path, *names: str) -> Path:
    """Return a path in an artifact, to be written.

    Raises:
        OSError: if a part of it is a link: an artifact may be a stranger's.
    """
    path = folder
    for name in names:
        path /= name
        if path.is_symlink():
            reason = "links in an artifact are not written through: remove it"
            raise OSError(errno.ELOOP, reason, str(path))
    return path


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

    A folder that holds only what an unfinished training or compression has left is free.
    """
    path = Path(path)
    with naming(path):
        settle(path.resolve() / RECIPE)
    names = {file.name for file in path.iterdir()} if path.is_dir() else None
    if path.exists() and (names is None or (names - {TRAINING, TRIED} and RECIPE not in names)):
        raise GhostifyError(f"{path} exists and is not a ghostify artifact: choose another path")
    for name in (RECIPE, WEIGHTS, MEASUREMENTS, TRAINING, TRIED):
        inside(path, name)
    if not names or names - {TRAINING, TRIED}:
        _check_force(path, force)
    check_writable(path)


def check_writable(path: str | Path) -> None:
    """Check that a file or folder can be made at ``path``, by making a file and removing it.

    Of a folder that is there, check that a file can be made in it.
    """
    target = Path(path).resolve()
    folder = target if target.is_dir() else target.parent
    while not folder.exists():
        folder = folder.parent
    try:
        settle(target)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = _REASONS.get(error.errno or 0) or str(error.strerror).lower()
        raise GhostifyError(f"cannot write {path}: {reason}") from error


def _check_force(path: Path, force: bool) -> None:
    if path.exists() and not force:
        raise GhostifyError(f"{path} exists: pass `force=True` to replace it")
