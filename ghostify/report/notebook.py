"""Documents as HTML for notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from ghostify.report.document import Document, Table
from ghostify.report.formats import to_table

_STYLE = """<style>
.ghostify table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.ghostify th, .ghostify td { padding: 0.15em 1em 0.15em 0; text-align: left; }
.ghostify summary { cursor: pointer; }
.ghostify svg.bars { display: block; width: 100%; max-width: 60em; height: 7em; }
.ghostify svg.meter { width: 12em; height: 0.8em; }
.ghostify .hit { fill: transparent; } .ghostify .original, .ghostify .track { fill: #b9bdc3; }
.ghostify .kept { fill: #80868e; } .ghostify .ghost { fill: #6f5fd8; }
.ghostify .mark { stroke: currentColor; vector-effect: non-scaling-stroke; }
.ghostify .aside { opacity: 0.75; font-size: 0.875em; }
</style>"""

_MAX_ROWS = 12


def to_notebook(document: Document, charts: Sequence[tuple[str, str]] = ()) -> str:
    """Format as HTML, with tables of more than 12 rows collapsed.

    Args:
        document: title, tables and notes.
        charts: captions and SVGs.
    """
    parts = [f"<p><b>{escape(document.title)}</b></p>"]
    parts += [to_table(table, "html") for table in document.tables if not _is_long(table)]
    parts += [f'<p class="aside">{escape(caption)}</p>{svg}' for caption, svg in charts]
    parts += [
        f"<details><summary>{escape(table.title)}</summary>{to_table(table, 'html')}</details>"
        for table in document.tables
        if _is_long(table)
    ]
    parts += [f'<p class="aside">{"<br>".join(map(escape, document.notes))}</p>']
    return f'<div class="ghostify">{_STYLE}{"".join(parts)}</div>'


def _is_long(table: Table) -> bool:
    return len(table.rows) > _MAX_ROWS
