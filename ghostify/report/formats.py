"""Output formats of a document."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from html import escape

from tabulate import MIN_PADDING, tabulate

from ghostify.report.document import WIDTH, Document, Table
from ghostify.types import GhostifyError


def to_text(document: Document) -> str:
    """Format as plain text. Only columns that wrap are held to 80 characters a line."""
    parts = [document.title]
    for table in document.tables:
        widths = table.wrap_widths(WIDTH, heading_pad=MIN_PADDING)
        parts.append(f"{table.title}\n{_tabulate(table, 'simple', widths)}")
    return "\n\n".join([*parts, *filter(None, ["\n".join(document.notes)])])


def to_markdown(document: Document) -> str:
    """Format as GitHub Markdown."""
    parts = [f"## {document.title}"]
    for table in document.tables:
        parts += [f"### {table.title}", _tabulate(table, "pipe")]
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


_STYLE = """<style>
.ghostify table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.ghostify th, .ghostify td { padding: 0.15em 1em 0.15em 0; text-align: left; }
.ghostify summary { cursor: pointer; }
.ghostify svg.bars { display: block; width: 100%; max-width: 60em; height: 7em; }
.ghostify svg.meter { width: 12em; height: 0.8em; }
.ghostify .hit { fill: transparent; } .ghostify .dropped, .ghostify .track { fill: #b9bdc3; }
.ghostify .dense { fill: #80868e; } .ghostify .ghosts { fill: #a79be0; }
.ghostify .intrinsic, .ghostify .ghost { fill: #6f5fd8; }
.ghostify svg.plot { display: block; width: 100%; max-width: 34em; font-size: 12px; }
.ghostify svg.plot text { fill: currentColor; opacity: 0.75; }
.ghostify .grid { stroke: currentColor; opacity: 0.15; } .ghostify .curve { stroke-width: 2; }
.ghostify g.ghost .curve { stroke: #6f5fd8; } .ghostify g.original .curve { stroke: #80868e; }
.ghostify g.original circle { fill: #80868e; } .ghostify g.reference rect { fill: currentColor; }
.ghostify g.current circle { fill: none; stroke: #6f5fd8; stroke-width: 2; }
.ghostify .worse { fill: #d9822b; }
.ghostify .mark, .ghostify .base { stroke: currentColor; vector-effect: non-scaling-stroke; }
.ghostify .base { stroke-dasharray: 2; }
.ghostify .aside { opacity: 0.75; font-size: 0.875em; }
</style>"""

_MAX_ROWS = 12


def to_notebook(document: Document, charts: Sequence[tuple[str, str]] = ()) -> str:
    """Format as HTML with ``charts``: captions and SVGs. Tables of more than 12 rows collapse."""
    short, long = [], []
    for table in document.tables:
        html = _tabulate(table, "html")
        if len(table.rows) <= _MAX_ROWS:
            short.append(f'<p class="aside">{escape(table.title)}</p>{html}')
        else:
            long.append(f"<details><summary>{escape(table.title)}</summary>{html}</details>")
    drawn = [f'<p class="aside">{escape(caption)}</p>{svg}' for caption, svg in charts]
    notes = f'<p class="aside">{"<br>".join(map(escape, document.notes))}</p>'
    parts = [f"<p><b>{escape(document.title)}</b></p>", *short, *drawn, *long, notes]
    return f'<div class="ghostify">{_STYLE}{"".join(parts)}</div>'


FORMATS: dict[str, Callable[[Document], str]] = {
    "table": to_text,
    "json": to_json,
    "csv": to_csv,
    "markdown": to_markdown,
}

_ENDINGS = {".txt": "table", ".json": "json", ".csv": "csv", ".md": "markdown"}


def format_of(ending: str, *, others: Sequence[str] = ()) -> Callable[[Document], str]:
    """Return the format of a file name's ending; an error lists all, and ``others``."""
    if ending not in _ENDINGS:
        known = ", ".join([*others, *_ENDINGS])
        raise GhostifyError(f"the ending (={ending!r}) must be one of {known}")
    return FORMATS[_ENDINGS[ending]]


class Printable:
    """Base of results that print as tables and show as tables in notebooks."""

    __slots__ = ()

    def document(self) -> Document:
        """Return title, tables and notes, and the raw numbers."""
        raise NotImplementedError

    def charts(self) -> Sequence[tuple[str, str]]:
        """Return the charts for notebooks: captions and SVGs."""
        return ()

    def to_json(self) -> str:
        """Return all raw numbers as JSON."""
        return to_json(self.document())

    def to_csv(self) -> str:
        """Return the raw numbers as CSV, one line per record."""
        return to_csv(self.document())

    def to_markdown(self) -> str:
        """Return the tables as GitHub Markdown."""
        return to_markdown(self.document())

    _repr_markdown_ = to_markdown

    def _repr_html_(self) -> str:
        return to_notebook(self.document(), self.charts())

    def __str__(self) -> str:
        return to_text(self.document())


def _tabulate(table: Table, style: str, widths: list[int | None] | None = None) -> str:
    return tabulate(
        table.rows,
        headers=[column.heading for column in table.columns],
        tablefmt=style,
        colalign=["right" if column.numeric else "left" for column in table.columns],
        maxcolwidths=widths,
        disable_numparse=True,
    )
