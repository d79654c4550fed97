"""Output on the terminal: status lines, notes, errors and tables."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from ghostify.cli.options import Format
from ghostify.io.progress import is_main_process
from ghostify.report.document import WIDTH
from ghostify.report.formats import FORMATS

if TYPE_CHECKING:
    from ghostify.report.document import Document, Table


@contextmanager
def stage(doing: str) -> Iterator[None]:
    """Show a status line on stderr while the context lasts, if stderr is a terminal."""
    quiet = not is_main_process()
    console = Console(file=sys.stderr, quiet=quiet)  # the stream of now, if it is redirected
    with console.status(f"{escape(doing)} ..."):
        yield


def note(text: str) -> None:
    """Print a remark on stderr, by the main process."""
    if is_main_process():
        Console(stderr=True, soft_wrap=True, highlight=False).print(escape(text))


def fail(text: str) -> NoReturn:
    """End with one line of explanation on stderr and exit code 1."""
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    where = "" if is_main_process() else f" process {os.environ['RANK']}:"
    console.print(f"[bold red]error:[/]{where} {escape(text)}")
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
    console = Console(highlight=False, soft_wrap=True, stderr=stderr)
    width = console.width if console.is_terminal else WIDTH
    console.print(f"[bold]{escape(document.title)}[/]")
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
        console.print(f"[dim]{escape(line)}[/]")


def print_document(document: Document, format: Format) -> None:
    """Print a document on stdout: tables for a person, or one of the formats for a program."""
    if format is Format.table:
        show(document)
    else:
        print(FORMATS[format.value](document), end="")


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
            overflow="fold",
        )
    for row in table.rows:
        rich.add_row(*map(escape, row))
    return rich
