"""JSON files with a checksum."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from ghostify.types import GhostifyError
from ghostify.types.regular_file import read_regular
from ghostify.types.serialization import Serializable, parse_json, readable_json

T = TypeVar("T", bound=Serializable)


def checksummed(content: Mapping[str, Any]) -> str:
    """Return JSON text whose last entry, ``digest``, is the checksum of the others."""
    return readable_json({**content, "digest": json_digest(content)}, depth=3) + "\n"


def read_checksummed(file: Path, cls: type[T]) -> T:
    """Read an instance of ``cls`` from a file that holds what `checksummed` returned."""
    try:
        content = parse_json(read_regular(file))
        digest = content.pop("digest", None) if isinstance(content, dict) else None
        found = cls.from_dict(content)
        if digest != json_digest(content):
            raise GhostifyError("its checksum does not match; restore or remove the file")
    except GhostifyError as error:  # names entries of the file, not arguments
        reason = str(error).replace("`", "'")
        raise GhostifyError(f"{file} is damaged: {reason}") from error
    return found


def json_digest(data: Any) -> str:
    """Return the SHA-256 of JSON types, independent of the order of keys."""
    canonical = json.dumps(data, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(canonical.encode(errors="surrogatepass")).hexdigest()
