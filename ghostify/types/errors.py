"""User-correctable errors, and their messages."""

import re
from collections.abc import Iterable
from difflib import get_close_matches

_PLACE = re.compile(r"Exception from \S+:\d+:")
_LONGEST = 200


class GhostifyError(ValueError):
    """A user-correctable error. Its message is one line: what is wrong, and what to do."""


class GhostifyWarning(UserWarning):
    """Something that did not stop the work, but that the user should know."""


def near(name: str, known: Iterable[str]) -> str:
    """Return a hint such as ``; did you mean layer1.0.conv1?``, or an empty string."""
    matches = get_close_matches(name, list(known), n=3, cutoff=0.5)
    return f"; did you mean {', '.join(matches)}?" if matches else ""


def install(extra: str) -> str:
    """Return how to install an extra of ghostify."""
    return f"run pip install '.[{extra}]' in a clone of ghostify"


def first_line(error: BaseException) -> str:
    """Return the first line of an exception's message, or its type if it has none.

    Lines that only name a place in a C++ library are skipped.
    """
    lines = [line.strip() for line in str(error).strip().splitlines()]
    reasons = [line for line in lines if not _PLACE.fullmatch(line)]
    return next(iter(reasons or lines), type(error).__name__)


def root_cause(error: BaseException) -> str:
    """Return the first line of the original error, abridged."""
    while error.__cause__ is not None:
        error = error.__cause__
    line = first_line(error)
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"
