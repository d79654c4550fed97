"""Tables and notes, independent of the output format."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

WIDTH = 80
"""Maximum line width of printed documents, in characters."""

_GAP = 2


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        heading: text of the heading.
        numeric: align to the right.
        wrap: wrap long text over several lines.
    """

    heading: str
    numeric: bool = False
    wrap: bool = False


def numeric(*headings: str) -> tuple[Column, ...]:
    """Return numeric columns."""
    return tuple(Column(heading, numeric=True) for heading in headings)


@dataclass(frozen=True, slots=True)
class Table:
    """Formatted cells. The first column holds names, which may be cut at the front."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]

    def fitted(self, width: int, *, heading_pad: int = 0) -> Table:
        """Cut the names so that no line exceeds ``width`` characters.

        Columns are two blanks apart; ``heading_pad`` is the padding that a printer adds to
        headings. A table with a wrapping column is returned unchanged.
        """
        if any(column.wrap for column in self.columns):
            return self
        room = max(width - sum(taken + _GAP for taken in self._widths(heading_pad)[1:]), 8)
        return replace(self, rows=tuple((_cut(row[0], room), *row[1:]) for row in self.rows))

    def wrap_widths(self, width: int, *, heading_pad: int = 0) -> list[int | None]:
        """Return the width of each wrapping column, and None for the others."""
        wraps = [column.wrap for column in self.columns]
        widths = zip(self._widths(heading_pad), wraps, strict=True)
        left = width - sum(taken for taken, wrap in widths if not wrap) - _GAP * (len(wraps) - 1)
        share = max(left // max(sum(wraps), 1), 12)
        return [share if wrap else None for wrap in wraps]

    def _widths(self, heading_pad: int) -> list[int]:
        headings = (" " * heading_pad + column.heading for column in self.columns)
        return [max(map(len, cells)) for cells in zip(headings, *self.rows, strict=True)]


@dataclass(frozen=True, slots=True)
class Document:
    """A result in the shape that every output format takes.

    Attributes:
        title: one line.
        tables: formatted cells.
        notes: sentences below the tables.
        records: raw numbers as flat mappings, one per line of CSV.
        data: raw numbers for JSON.
    """

    title: str
    tables: tuple[Table, ...]
    notes: tuple[str, ...]
    records: tuple[dict[str, Any], ...]
    data: dict[str, Any]


def si(number: float, digits: int = 3) -> str:
    """Format ``25557032`` as ``25.6M``: ``digits`` significant digits and an SI prefix."""
    for prefix in ("", "K", "M", "G"):
        if abs(number) < 999.5 or prefix == "G":
            break
        number /= 1000
    if not prefix:
        return f"{number:g}"
    return f"{number:.{max(digits - len(str(int(number))), 0)}f}{prefix}"


def summarize_names(names: Iterable[str]) -> str:
    """List up to three names; summarize more as globs with their counts."""
    names = list(names)
    if len(names) <= 3:
        return ", ".join(names)
    groups: dict[tuple[str, ...], list[list[str]]] = {}
    for name in names:
        steps = name.split(".")
        shape = tuple("#" if step.isdigit() else step for step in steps)
        groups.setdefault(shape, []).append(steps)
    globs = []
    for group in groups.values():
        places = zip(*group, strict=True)
        glob = ".".join(steps[0] if len(set(steps)) == 1 else "*" for steps in places)
        globs.append(f"{glob} ({len(group)})" if len(group) > 1 else glob)
    return ", ".join(globs)


def _cut(name: str, width: int) -> str:
    return name if len(name) <= width else "…" + name[len(name) - width + 1 :]
