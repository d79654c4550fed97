"""Nouns from JSON that people may have edited."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ghostify.types.errors import GhostifyError, near


def readable_json(data: Any, depth: int, indent: str = "") -> str:
    """JSON with a line for each entry of its outer ``depth`` levels; what is deeper is one line."""
    if depth == 0 or not isinstance(data, dict) or not data:
        return json.dumps(data, ensure_ascii=False)
    inner = indent + "  "
    entries = (
        f"{inner}{json.dumps(key, ensure_ascii=False)}: {readable_json(value, depth - 1, inner)}"
        for key, value in data.items()
    )
    return "{\n" + ",\n".join(entries) + f"\n{indent}}}"


def parse_json(text: str, noun: str) -> Any:
    """The data of a JSON text in which no key stands twice.

    Raises:
        GhostifyError: with the line of a syntax error, or the key that stands there twice, for
            which the text is no ``noun``.
    """

    def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        entries = dict(pairs)
        if len(entries) != len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise GhostifyError(f"not a {noun}: {twice!r} stands in it twice")
        return entries

    try:
        return json.loads(text, object_pairs_hook=unique_keys)
    except (json.JSONDecodeError, RecursionError) as error:
        raise GhostifyError(f"not JSON: {error}") from error


def construct(cls: type, fields: Any) -> Any:
    """A dataclass from its fields by name.

    Raises:
        GhostifyError: if ``fields`` is no mapping, or has a key that the class lacks.
    """
    if not isinstance(fields, Mapping):
        raise GhostifyError(f"{fields!r} should be values by name")
    known = cls.__dataclass_fields__  # type: ignore[attr-defined]
    for key in fields:
        if key not in known:
            raise GhostifyError(f"unknown key {key!r}{near(key, known)}")
    return cls(**fields)
