"""One training a folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ghostify.io.lock import lock
from ghostify.io.progress import is_main_process
from ghostify.types import GhostifyError


@contextmanager
def claimed(folder: Path | None) -> Iterator[None]:
    """Keep other trainings out of a folder while the context lasts.

    The main process claims it for all. The folder is made for that, and removed if it stays empty.

    Raises:
        GhostifyError: if another training is in it.
        OSError: if it cannot be made.
    """
    if folder is None or not is_main_process():
        yield
        return
    folder = folder.resolve()
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with lock(folder) as free:
            if free is False:
                raise GhostifyError(
                    f"another training is in {folder}: wait for its end, or choose another folder"
                )
            yield
    finally:
        with suppress(OSError):  # something was written there
            for path in made:
                path.rmdir()
