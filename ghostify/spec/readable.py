"""JSON for people."""

import json
from typing import Any


def readable_json(data: Any, depth: int, indent: str = "") -> str:
    """JSON whose outer ``depth`` levels of objects have a line for each entry, the rest one line."""
    if depth == 0 or not isinstance(data, dict) or not data:
        return json.dumps(data, ensure_ascii=False)
    inner = indent + "  "
    entries = (
        f"{inner}{json.dumps(key, ensure_ascii=False)}: {readable_json(value, depth - 1, inner)}"
        for key, value in data.items()
    )
    return "{\n" + ",\n".join(entries) + f"\n{indent}}}"
