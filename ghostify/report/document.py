"""Tables and notes, independent of the output format."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

WIDTH = 80
"""Line width at which columns wrap in files and pipes, in characters."""

_GAP = 2
_NARROWEST = 12  # of a column that wraps
_READABLE = 16  # characters of a name


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        heading: text of the heading.
        numeric: align to the right.
        wrap: wrap long text over several lines.
        spare: leave it out where a terminal is too narrow for all columns.
    """

    heading: str
    numeric: bool = False
    wrap: bool = False
    spare: bool = False


def numeric(*headings: str) -> tuple[Column, ...]:
    """Return numeric columns."""
    return tuple(Column(heading, numeric=True) for heading in headings)


@dataclass(frozen=True, slots=True)
class Table:
    """Formatted cells. The first column holds names."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]

    @property
    def width(self) -> int:
        """The least characters of a line in which no cell is cut; columns are two blanks apart."""
        columns = zip(self._widths(), self.columns, strict=True)
        taken = [min(width, _NARROWEST) if column.wrap else width for width, column in columns]
        return sum(taken) + _GAP * (len(taken) - 1)

    def fitted(self, width: int) -> Table:
        """Narrow a table to ``width`` characters as far as no row loses what tells it from others.

        Spare columns are left out, the first ones first, where names would become too short to
        read. Then names are shortened, but stay distinct. Other cells are never cut.
        """
        names = [row[0] for row in self.rows]
        if self.width <= width or self.columns[0].wrap or not names:
            return self
        room = width - self.width + max(map(len, [self.columns[0].heading, *names]))
        short = shorten(names, max(room, 1))
        spare = next((place for place, column in enumerate(self.columns) if column.spare), None)
        if spare is not None and (room < _READABLE or max(map(len, short)) > room):
            return self.without(spare).fitted(width)
        rows = zip(short, self.rows, strict=True)
        return replace(self, rows=tuple((name, *row[1:]) for name, row in rows))

    def without(self, place: int) -> Table:
        """Return the table without the column at ``place``."""
        rows = tuple((*row[:place], *row[place + 1 :]) for row in self.rows)
        return replace(self, columns=self.columns[:place] + self.columns[place + 1 :], rows=rows)

    def wrap_widths(self, width: int, *, heading_pad: int = 0) -> list[int | None]:
        """Return the width of each wrapping column, and None for the others.

        ``heading_pad`` is the padding that a printer adds to headings.
        """
        wraps = [column.wrap for column in self.columns]
        widths = zip(self._widths(heading_pad), wraps, strict=True)
        left = width - sum(taken for taken, wrap in widths if not wrap) - _GAP * (len(wraps) - 1)
        share = max(left // max(sum(wraps), 1), _NARROWEST)
        return [share if wrap else None for wrap in wraps]

    def _widths(self, heading_pad: int = 0) -> list[int]:
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


def shorten(names: Sequence[str], width: int) -> list[str]:
    """Shorten names in the middle to ``width`` characters, or as few more as keep them distinct.

    All are cut at one place, so that what differs stays in sight.
    """
    different, longest = len(set(names)), max(map(len, names), default=0)
    for size in range(max(width, 3), longest):
        for head in sorted(range(size), key=lambda head: abs(2 * head + 1 - size)):
            tail = size - 1 - head
            short = [n if len(n) <= size else f"{n[:head]}…{n[len(n) - tail :]}" for n in names]
            if len(set(short)) == different:
                return short
    return list(names)
