"""JSON files with a format and a checksum."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ghostify.types import GhostifyError
from ghostify.types.serialization import parse_json, readable_json


def checksummed(form: str, entries: Mapping[str, Any]) -> str:
    """Return JSON text with ``format`` first and the checksum ``digest`` last.

    Args:
        form: the format, such as ``ghostify/1``.
        entries: JSON types.
    """
    content = {"format": form, **entries}
    content["digest"] = json_digest(content)
    return readable_json(content, depth=3) + "\n"


def read_checksummed(file: Path, form: str) -> dict[str, Any]:
    """Read a file that `checksummed` wrote, without its ``digest``.

    Raises:
        GhostifyError: if the file has another format, or is damaged.
        OSError: if it cannot be read.
    """
    try:
        content = parse_json(file.read_bytes())
        if not isinstance(content, dict) or content.get("format") != form:
            raise GhostifyError(f"`format` must be {form!r}")
        if content.pop("digest", None) != json_digest(content):
            raise GhostifyError("its checksum does not match; restore or remove the file")
    except GhostifyError as error:
        raise GhostifyError(f"{file} is damaged: {error}") from error
    return content


def json_digest(data: Any) -> str:
    """Return the SHA-256 of JSON types, independent of the order of keys."""
    canonical = json.dumps(data, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
