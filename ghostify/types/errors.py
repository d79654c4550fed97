"""User-correctable errors, and their messages."""

import re
from collections.abc import Iterable
from difflib import get_close_matches

_PLACE = re.compile(r"Exception from \S+:\d+:")
_LONGEST = 200
_NAMES_SHOWN = 3

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""C0 and C1, line separators, writing directions, and bytes of names that are not UTF-8."""


class GhostifyError(ValueError):
    """A user-correctable error. Its message is one line: what is wrong, and what to do."""


class GhostifyWarning(UserWarning):
    """Something that did not stop the work, but that the user should know."""


def near(name: str, known: Iterable[str]) -> str:
    """Return a hint such as ``; did you mean layer1.0.conv1?``, or an empty string."""
    matches = get_close_matches(name, list(known), n=3, cutoff=0.5)
    return f"; did you mean {', '.join(matches)}?" if matches else ""


def first_names(names: Iterable[str]) -> str:
    """Return the first names, and how many more there are."""
    listed = list(names)
    more = len(listed) - _NAMES_SHOWN
    return ", ".join(listed[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")


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


def printable(text: str) -> str:
    r"""Return text for a terminal, with control characters as escapes such as ``\u001b``."""
    return _CONTROLS.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether Python, or torch on any device, could not allocate memory."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "DefaultCPUAllocator" in str(error)
    )
