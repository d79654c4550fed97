"""The one exception whose message is written for the user."""

import re
from collections.abc import Iterable
from difflib import get_close_matches

_PLACE = re.compile(r"Exception from \S+:\d+:")
_LONGEST = 200


class GhostifyError(ValueError):
    """Something the user can put right: one line that says what was wrong and what to do."""


def near(name: str, known: Iterable[str]) -> str:
    """A hint such as ``; did you mean layer1.0.conv1?``, or nothing when no name is close."""
    matches = get_close_matches(name, list(known), n=3, cutoff=0.5)
    return f"; did you mean {', '.join(matches)}?" if matches else ""


def first_line(error: BaseException) -> str:
    """The first line of an exception's message, or its type where it has none.

    Lines that only say where in a C++ library it was thrown are passed over.
    """
    lines = [line.strip() for line in str(error).strip().splitlines()]
    saying = [line for line in lines if not _PLACE.fullmatch(line)]
    return next(iter(saying or lines), type(error).__name__)


def root_cause(error: BaseException) -> str:
    """The first line of the error that led to this one, cut where it is long."""
    while error.__cause__ is not None:
        error = error.__cause__
    line = first_line(error)
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"
