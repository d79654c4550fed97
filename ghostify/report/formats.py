"""The forms a document can be given, by name."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from html import escape

from tabulate import MIN_PADDING, tabulate

from ghostify.report.document import WIDTH, Document, Table
from ghostify.types import GhostifyError

_STYLE = """<style>
.ghostify table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.ghostify th, .ghostify td { padding: 0.15em 1em 0.15em 0; text-align: left; }
.ghostify .n { text-align: right; }
.ghostify summary { cursor: pointer; }
.ghostify svg.bars { display: block; width: 100%; max-width: 60em; height: 7em; }
.ghostify svg.meter { width: 12em; height: 0.8em; }
.ghostify .hit { fill: transparent; } .ghostify .original, .ghostify .track { fill: #b9bdc3; }
.ghostify .kept { fill: #80868e; } .ghostify .ghost { fill: #6f5fd8; }
.ghostify .mark { stroke: currentColor; vector-effect: non-scaling-stroke; }
.ghostify .aside { opacity: 0.75; font-size: 0.875em; }
</style>"""

_OPEN = 12
"""Rows of a table that is shown without being asked for."""


def to_notebook(document: Document, charts: Sequence[tuple[str, str]] = ()) -> str:
    """Tables, of which long ones are folded, and charts.

    Args:
        document: what is said.
        charts: captions, and SVG.
    """
    parts = [f"<p><b>{escape(document.title)}</b></p>"]
    parts += [_table(table) for table in document.tables if len(table.rows) <= _OPEN]
    parts += [f'<p class="aside">{escape(caption)}</p>{svg}' for caption, svg in charts]
    parts += [
        f"<details><summary>{escape(table.title)}</summary>{_table(table)}</details>"
        for table in document.tables
        if len(table.rows) > _OPEN
    ]
    parts += [f'<p class="aside">{"<br>".join(map(escape, document.notes))}</p>']
    return f'<div class="ghostify">{_STYLE}{"".join(parts)}</div>'


def _table(table: Table) -> str:
    kinds = [' class="n"' if column.numeric else "" for column in table.columns]
    head = "".join(
        f"<th{kind}>{escape(column.heading)}</th>"
        for kind, column in zip(kinds, table.columns, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(f"<td{kind}>{escape(cell)}</td>" for kind, cell in zip(kinds, row, strict=True))
        + "</tr>"
        for row in table.rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def to_text(document: Document) -> str:
    """Plain text for a terminal of 80 columns."""
    parts = [document.title, *map(_text_table, document.tables)]
    if document.notes:
        parts.append("\n".join(document.notes))
    return "\n\n".join(parts)


def to_markdown(document: Document) -> str:
    """Markdown, with tables as GitHub and Jupyter know them."""
    parts = [f"## {document.title}"]
    for table in document.tables:
        parts += [f"### {table.title}", _tabulate(table, "pipe")]
    parts += document.notes
    return "\n\n".join(parts) + "\n"


def to_csv(document: Document) -> str:
    """One line a convolution, raw numbers."""
    stream = io.StringIO()
    columns = list(document.records[0]) if document.records else []
    writer = csv.DictWriter(stream, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(document.records)
    return stream.getvalue()


def to_json(document: Document) -> str:
    """Everything, raw numbers."""
    return json.dumps(document.data, indent=2, ensure_ascii=False) + "\n"


FORMATS: dict[str, Callable[[Document], str]] = {
    "table": to_text,
    "json": to_json,
    "csv": to_csv,
    "markdown": to_markdown,
}

_ENDINGS = {".txt": "table", ".json": "json", ".csv": "csv", ".md": "markdown"}


def format_of(ending: str) -> Callable[[Document], str]:
    """The form that a file's ending asks for.

    Raises:
        GhostifyError: if no form has this ending.
    """
    if ending not in _ENDINGS:
        raise GhostifyError(
            f"report file ending {ending or '(none)'!r}: known are {', '.join(_ENDINGS)}"
        )
    return FORMATS[_ENDINGS[ending]]


def _text_table(table: Table) -> str:
    fitted = table.fitted(WIDTH, heading_pad=MIN_PADDING)
    widths = fitted.wrap_widths(WIDTH, heading_pad=MIN_PADDING)
    return f"{table.title}\n{_tabulate(fitted, 'simple', widths)}"


def _tabulate(table: Table, style: str, widths: list[int | None] | None = None) -> str:
    return tabulate(
        table.rows,
        headers=[column.heading for column in table.columns],
        tablefmt=style,
        colalign=["right" if column.numeric else "left" for column in table.columns],
        maxcolwidths=widths,
        disable_numparse=True,
    )
