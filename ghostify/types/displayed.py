"""Data that prints as tables, and shows as tables and charts in notebooks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar


class Displayed:
    """Mixin for data that prints as tables, and shows as tables and charts in notebooks.

    A room above this one makes them: the root of the package assigns ``_display``, which returns a
    `Printable` result.
    """

    __slots__ = ()
    _display: ClassVar[Callable[[Any], Any]]

    def to_csv(self) -> str:
        """Return the raw numbers as CSV, one line per record."""
        return str(self._display().to_csv())

    def to_markdown(self) -> str:
        """Return the tables as GitHub Markdown."""
        return str(self._display().to_markdown())

    def _repr_markdown_(self) -> str:
        return self.to_markdown()

    def _repr_html_(self) -> str:
        return str(self._display()._repr_html_())

    def __str__(self) -> str:
        return str(self._display())
