"""Output on the terminal: status lines, notes, errors and tables."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from contextvars import ContextVar
from typing import TYPE_CHECKING, NoReturn, TextIO

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from ghostify.cli.options import Format
from ghostify.io.progress import is_main_process
from ghostify.report.document import WIDTH
from ghostify.report.formats import FORMATS
from ghostify.types.errors import printable

if TYPE_CHECKING:
    from ghostify.report.document import Document, Table

_LONGEST = 1000
"""Characters of an error or a warning."""

_results: ContextVar[TextIO | None] = ContextVar("results", default=None)


@contextmanager
def results_alone() -> Iterator[None]:
    """Keep stdout for `results`; what user code and libraries print goes to stderr."""
    token = _results.set(sys.stdout)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _results.reset(token)


def results() -> TextIO:
    """Return the stream that the results of a command are printed to."""
    return _results.get() or sys.stdout


@contextmanager
def stage(doing: str) -> Iterator[None]:
    """Show a status line on stderr while the context lasts, if stderr is a terminal."""
    quiet = not is_main_process()
    console = Console(file=sys.stderr, quiet=quiet)  # the stream of now, if it is redirected
    with console.status(f"{_markup(doing)} ..."):
        yield


def note(text: str) -> None:
    """Print a remark on stderr, by the main process."""
    if is_main_process():
        Console(stderr=True, soft_wrap=True, highlight=False).print(_markup(text))


def warn(text: str) -> None:
    """Print a warning on stderr, in one line, by the main process."""
    note(f"warning: {_one_line(text)}")


def fail(text: str) -> NoReturn:
    """End with one line of explanation on stderr and exit code 1."""
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    where = "" if is_main_process() else f" process {os.environ['RANK']}:"
    console.print(f"[bold red]error:[/]{where} {_markup(_one_line(text))}")
    sys.exit(1)


@contextmanager
def interruptible(kept: str = "nothing was saved") -> Iterator[None]:
    """Turn Ctrl-C into one line that says what was kept, and exit code 130."""
    try:
        yield
    except KeyboardInterrupt:
        note(f"Interrupted; {kept}.")
        raise typer.Exit(130) from None


def show(document: Document, *, stderr: bool = False) -> None:
    """Print a document's tables: as wide as they need, or as fits a terminal."""
    file = sys.stderr if stderr else results()
    console = Console(file=file, highlight=False, soft_wrap=True)
    width = console.width if console.is_terminal else WIDTH
    console.print(f"[bold]{_markup(document.title)}[/]")
    left_out: dict[str, None] = {}
    for table in document.tables:
        shown = table.fitted(width) if console.is_terminal else table
        left_out |= {c.heading: None for c in table.columns if c not in shown.columns}
        console.width = max(width, shown.width)
        console.print()
        console.print(_rich(shown), soft_wrap=False)
    notes = [f"Too wide for this terminal: {', '.join(left_out)}."] if left_out else []
    if notes := [*document.notes, *notes]:
        console.print()
    for line in notes:
        console.print(f"[dim]{_markup(line)}[/]")


def print_document(document: Document, format: Format) -> None:
    """Print a document on stdout: tables for a person, or one of the formats for a program."""
    if format is Format.table:
        show(document)
    else:
        lines = FORMATS[format.value](document).split("\n")
        print("\n".join(map(printable, lines)), end="", file=results())


def _markup(text: str) -> str:
    """Return text as markup that has neither tags nor control characters."""
    return escape(printable(text))


def _one_line(text: str) -> str:
    """Return text without line breaks; of a long one the beginning, and the end with its advice."""
    line = " ".join(text.split())
    third = _LONGEST // 3
    return line if len(line) <= _LONGEST else f"{line[: 2 * third]} … {line[-third:]}"


def _rich(table: Table) -> RichTable:
    rich = RichTable(
        title=_markup(table.title),
        title_style="bold",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        show_edge=False,
    )
    for column in table.columns:
        rich.add_column(
            _markup(column.heading),
            justify="right" if column.numeric else "left",
            no_wrap=not column.wrap,
            overflow="fold",
        )
    for row in table.rows:
        rich.add_row(*map(_markup, row))
    return rich
