"""Progress bars on the terminal and in notebooks."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from ghostify.types.errors import printable
from ghostify.types.progress import Progress, ShowProgress

if TYPE_CHECKING:
    from rich.progress import Progress as Bars


class Report(Protocol):
    """Reports the progress of one task."""

    def __call__(self, done: float, total: float | None = None, detail: str = "") -> None:
        """Report that ``done`` of ``total`` units are done; ``detail`` is the unit at hand."""


def silent(done: float, total: float | None = None, detail: str = "") -> None:
    """Report nothing."""


@contextmanager
def progress_bar(task: str, progress: ShowProgress) -> Iterator[Report]:
    """Show the progress of ``task`` while the context lasts.

    Args:
        task: what is being done, such as ``converting``.
        progress: True shows a bar on stderr if that is a terminal, or in a notebook. A bar within
            a bar is one more line. A function is called with each `Progress` instead.

    Yields:
        The function that reports progress.
    """
    if callable(progress):
        yield lambda done, total=None, detail="": progress(Progress(task, done, total, detail))
    elif progress and is_main_process():
        with _bars() as bars:
            line = bars.add_task(task, total=None)

            def report(done: float, total: float | None = None, detail: str = "") -> None:
                shown = printable(f"{task} {detail}".strip())
                bars.update(line, completed=done, total=total, description=shown)

            try:
                yield report
            finally:
                bars.remove_task(line)
    else:
        yield silent


def is_main_process() -> bool:
    """Whether this process speaks for all that ``torchrun`` or ``accelerate launch`` started."""
    return int(os.environ.get("RANK", "0")) == 0


_running: list[Bars] = []


@contextmanager
def _bars() -> Iterator[Bars]:
    """The bars that are on the screen, or new ones."""
    if _running:
        yield _running[-1]
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    console = Console(file=sys.stderr)  # also while stderr is redirected
    columns = (TextColumn("{task.description}", markup=False), BarColumn(bar_width=10))
    with Bars(
        *columns,
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not (console.is_terminal or console.is_jupyter),
    ) as bars:
        _running.append(bars)
        try:
            yield bars
        finally:
            _running.pop()
