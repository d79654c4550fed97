"""Hidden folders, in which files are written before they take their places together.

A folder whose files are complete is renamed first; from then on, the files are in place as far as
any process is concerned that calls `finish`. A killed process thus leaves the old files or the new.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path

from ghostify.io.lock import lock

_UNFINISHED, _COMPLETE = ".ghostify-new", ".ghostify-complete"


@contextmanager
def staging_folder(path: Path) -> Iterator[Path]:
    """Yield a hidden folder beside ``path``, removed at exit unless it was moved."""
    while True:
        with naming(path):
            settle(path)
            name = {"prefix": f".{path.name}.", "suffix": _UNFINISHED}
            folder = Path(tempfile.mkdtemp(dir=path.parent, **name))
        with lock(folder) as free:
            if free is False or not folder.exists():
                continue  # before it was locked, another process took it for a leftover
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)
            return


def settle(path: Path) -> None:
    """Finish or remove what killed processes have left of writing ``path``."""
    finish(path)
    for folder in path.parent.glob(f".{escape(path.name)}.*{_UNFINISHED}"):
        with lock(folder) as free:
            if free:
                shutil.rmtree(folder, ignore_errors=True)


def finish(path: Path) -> None:
    """Move complete files to the folder of ``path``, the one at ``path`` itself last."""
    folder = _complete(path)
    if not folder.is_dir() or folder.is_symlink():
        return
    for file in sorted(folder.iterdir(), key=lambda file: file.name == path.name):
        with suppress(FileNotFoundError):  # another process has moved it
            file.replace(path.parent / file.name)
    _sync(path.parent)
    with suppress(FileNotFoundError):
        folder.rmdir()


def take_places(folder: Path, path: Path) -> None:
    """Move the files of a staging folder to the folder of ``path``, all or none."""
    with naming(path):
        _make_durable(folder)
        files = list(folder.iterdir())
        if [file.name for file in files] == [path.name]:
            files[0].replace(path)
            _sync(path.parent)
        else:
            finish(path)
            folder.rename(_complete(path))
            _sync(path.parent)
            finish(path)


def take_place(folder: Path, path: Path) -> None:
    """Rename a staging folder to ``path``, which is free or an empty folder."""
    with naming(path):
        _make_durable(folder)
        folder.chmod(0o777 & ~_umask())
        folder.rename(path)
        _sync(path.parent)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Make OSErrors name ``path`` instead of a temporary file."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def _make_durable(folder: Path) -> None:
    """Write the files of a folder to the disk, and give them the usual rights."""
    for file in folder.iterdir():
        _sync(file)
        file.chmod(0o666 & ~_umask())
    _sync(folder)


def _sync(path: Path) -> None:
    """Write what the system holds back of a file or folder to the disk."""
    with suppress(PermissionError):  # a folder that is not readable; Windows
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        except OSError:
            if path.is_file():  # file systems need not know it of folders
                raise
        finally:
            os.close(descriptor)


def _complete(path: Path) -> Path:
    return path.with_name(f".{path.name}{_COMPLETE}")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
