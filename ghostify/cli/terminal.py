"""What the person at the keyboard sees."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    TextColumn,
)
from rich.progress import Progress as Bar
from rich.table import Table as RichTable

from ghostify.io.progress import is_main_process
from ghostify.report.document import WIDTH

if TYPE_CHECKING:
    from ghostify.report.document import Document, Table
    from ghostify.training import TrainingProgress
    from ghostify.types.progress import Progress, ProgressCallback


@contextmanager
def stage(doing: str) -> Iterator[None]:
    """Show what is being done, on stderr, while it lasts; nothing where that is no terminal."""
    quiet = not is_main_process()
    console = Console(file=sys.stderr, quiet=quiet)  # the stream of now, if it is redirected
    with console.status(f"{escape(doing)} ..."):
        yield


@contextmanager
def training_progress() -> Iterator[
    tuple[ProgressCallback, Callable[[TrainingProgress], None], Callable[[Any], None]]
]:
    """A bar on stderr with loss, score, speed and time left, and a line for each epoch.

    Yields what is to be told of a layer that is converted, of a moment and of an epoch.
    """
    console = Console(stderr=True, soft_wrap=True, highlight=False, quiet=not is_main_process())
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=20))
    bar = Bar(*columns, console=console, transient=True, disable=not console.is_terminal)
    with bar:
        task = bar.add_task("recovering", total=1.0)

        def convert(moment: Progress) -> None:
            text = f"converting {moment.detail}, {moment.done} of {moment.total}"
            bar.update(task, description=escape(text))

        def watch(moment: TrainingProgress) -> None:
            score = "" if moment.score is None else f", top-1 {moment.score:.1%}"
            text = (
                f"epoch {moment.epoch}, {moment.stage}: loss {moment.loss:.4g}{score}, "
                f"{moment.speed:.0f} images/s, {_clock(moment.seconds_left)} left"
            )
            bar.update(task, completed=moment.spent, description=escape(text))

        def tell(record: Any) -> None:
            score = record["score"] or {}
            shown = [
                f"{heading} {score[name]:{form}}"
                for name, heading, form in _SCORES
                if score.get(name) is not None
            ]
            part = f"step {record['part']}, " if "part" in record else ""
            text = (
                f"{part}epoch {record['epoch']}, {_clock(record['seconds'])}: "
                f"loss {record['loss']:.4g}{'; held out: ' if shown else ''}{', '.join(shown)}"
            )
            console.print(escape(text))

        yield convert, watch, tell


_SCORES = (
    ("top1", "top-1", ".2%"),
    ("agreement", "agreement", ".2%"),
    ("kl", "KL", ".3g"),
    ("relative_error", "relative error", ".3g"),
)


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def note(text: str) -> None:
    """A remark beside the output, on stderr, by the main process."""
    if is_main_process():
        Console(stderr=True, soft_wrap=True, highlight=False).print(escape(text))


def fail(text: str) -> NoReturn:
    """End with one line of explanation on stderr and exit code 1."""
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    where = "" if is_main_process() else f" process {os.environ['RANK']}:"
    console.print(f"[bold red]error:[/]{where} {escape(text)}")
    sys.exit(1)


def show(document: Document) -> None:
    """Print a document's tables on stdout, as wide as the terminal is, and 80 columns at least.

    A terminal that is narrower breaks the lines, and no number is cut.
    """
    console = Console(highlight=False)
    console.width = max(console.width, WIDTH)
    console.print(f"[bold]{escape(document.title)}[/]")
    for table in document.tables:
        console.print()
        console.print(_rich(table.fitted(console.width)))
    if document.notes:
        console.print()
    for line in document.notes:
        console.print(f"[dim]{escape(line)}[/]")


def _rich(table: Table) -> RichTable:
    rich = RichTable(
        title=escape(table.title),
        title_style="bold",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        show_edge=False,
    )
    for column in table.columns:
        rich.add_column(
            column.heading,
            justify="right" if column.numeric else "left",
            no_wrap=not column.wrap,
        )
    for row in table.rows:
        rich.add_row(*map(escape, row))
    return rich
