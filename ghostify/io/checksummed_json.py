"""JSON files that say their format, under a checksum of their own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ghostify.types import GhostifyError
from ghostify.types.errors import first_line
from ghostify.types.serialization import readable_json


def checksummed(form: str, entries: Mapping[str, Any]) -> str:
    """The text of such a file.

    Args:
        form: its format, such as ``ghostify/1``.
        entries: JSON types.
    """
    content = {"format": form, **entries}
    content["digest"] = json_digest(content)
    return readable_json(content, depth=3) + "\n"


def read_checksummed(file: Path, form: str, *, otherwise: str, damaged: str) -> dict[str, Any]:
    """What such a file says.

    Args:
        file: to be read.
        form: the format that it must have.
        otherwise: what to say of a file of another format, such as ``is no measurement``.
        damaged: what to say where the checksum does not fit.

    Raises:
        GhostifyError: if it is something else, or damaged.
        OSError: if it cannot be read.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise GhostifyError(f"{file} is damaged: {first_line(error)}") from error
    if not isinstance(content, dict) or content.get("format") != form:
        raise GhostifyError(f'{file} {otherwise}: "format" must be "{form}"')
    if content.pop("digest", None) != json_digest(content):
        raise GhostifyError(f"{file} is damaged: {damaged}")
    return content


def json_digest(data: Any) -> str:
    """The SHA-256 of data of JSON types, in whatever order its keys are."""
    canonical = json.dumps(data, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
