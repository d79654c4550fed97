"""JSON for people."""

import json
from typing import Any


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
