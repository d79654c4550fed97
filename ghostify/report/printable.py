"""Results that print as tables."""

from __future__ import annotations

from collections.abc import Sequence

from ghostify.report.document import Document
from ghostify.report.formats import to_csv, to_json, to_markdown, to_text
from ghostify.report.notebook import to_notebook


class Printable:
    """Base of results that print as tables of 80 columns and show as tables in notebooks."""

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

    def __str__(self) -> str:
        return to_text(self.document())

    def _repr_markdown_(self) -> str:
        return self.to_markdown()

    def _repr_html_(self) -> str:
        return to_notebook(self.document(), self.charts())
