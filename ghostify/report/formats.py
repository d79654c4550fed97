"""Output formats of a document."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable

from tabulate import MIN_PADDING, tabulate

from ghostify.report.document import WIDTH, Document, Table
from ghostify.types import GhostifyError


def to_text(document: Document) -> str:
    """Format as plain text of at most 80 columns."""
    parts = [document.title, *map(_text_table, document.tables)]
    if document.notes:
        parts.append("\n".join(document.notes))
    return "\n\n".join(parts)


def to_markdown(document: Document) -> str:
    """Format as GitHub Markdown."""
    parts = [f"## {document.title}"]
    for table in document.tables:
        parts += [f"### {table.title}", to_table(table, "pipe")]
    return "\n\n".join([*parts, *document.notes]) + "\n"


def to_csv(document: Document) -> str:
    """Format the records as CSV, with raw numbers."""
    stream = io.StringIO()
    columns = list(document.records[0]) if document.records else []
    writer = csv.DictWriter(stream, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(document.records)
    return stream.getvalue()


def to_json(document: Document) -> str:
    """Format the data as JSON, with raw numbers."""
    return json.dumps(document.data, indent=2, ensure_ascii=False) + "\n"


FORMATS: dict[str, Callable[[Document], str]] = {
    "table": to_text,
    "json": to_json,
    "csv": to_csv,
    "markdown": to_markdown,
}

_ENDINGS = {".txt": "table", ".json": "json", ".csv": "csv", ".md": "markdown"}


def format_of(ending: str) -> Callable[[Document], str]:
    """Return the format of a file name's ending.

    Raises:
        GhostifyError: if no format has this ending.
    """
    if ending not in _ENDINGS:
        raise GhostifyError(f"the ending (={ending!r}) must be one of {', '.join(_ENDINGS)}")
    return FORMATS[_ENDINGS[ending]]


def to_table(table: Table, style: str, widths: list[int | None] | None = None) -> str:
    """Format the cells of a table in a style of tabulate."""
    return tabulate(
        table.rows,
        headers=[column.heading for column in table.columns],
        tablefmt=style,
        colalign=["right" if column.numeric else "left" for column in table.columns],
        maxcolwidths=widths,
        disable_numparse=True,
    )


def _text_table(table: Table) -> str:
    fitted = table.fitted(WIDTH, heading_pad=MIN_PADDING)
    widths = fitted.wrap_widths(WIDTH, heading_pad=MIN_PADDING)
    return f"{table.title}\n{to_table(fitted, 'simple', widths)}"
