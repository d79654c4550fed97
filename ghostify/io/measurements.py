"""What an artifact remembers: a small JSON file in its folder for each thing measured of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ghostify.io.atomic import write_text
from ghostify.io.checksummed_json import checksummed, json_digest, read_checksummed
from ghostify.io.recipe import read_recipe
from ghostify.types.version import __version__

FOLDER = "measurements"

KINDS = {
    "costs": "plan",
    "evaluation": "plan",
    "export": "weights",
    "feature-maps": "weights",
    "plan-candidate": "layers",
    "sensitivity": "layers",
    "timing": "plan",
}
"""What is measured, and of what: it holds as long as the artifact's layers, plan or weights do."""

_FORMAT = "ghostify-measurement/1"


def record(folder: str | Path, kind: str, data: Mapping[str, Any], *, part: str = "") -> None:
    """Let the artifact in ``folder`` remember a measurement, in place of an earlier one.

    Args:
        folder: an artifact.
        kind: one of `KINDS`.
        data: JSON types.
        part: tells measurements of one kind apart, such as ``onnxruntime-b1-t2``.

    Raises:
        GhostifyError: if the artifact is damaged.
        OSError: if it cannot be written.
    """
    folder = Path(folder)
    entries = {
        "of": _identity(read_recipe(folder), KINDS[kind]),
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "ghostify": __version__,
        "data": dict(data),
    }
    (folder / FOLDER).mkdir(exist_ok=True)
    file = folder / FOLDER / f"{_file_name(kind, part)}.json"
    write_text(file, checksummed(_FORMAT, entries))


def recorded(
    folder: str | Path, kind: str, *, recipe: dict[str, Any] | None = None
) -> list[dict[str, Any]]:
    """The ``data`` of all measurements of a kind that hold for the artifact as it is now.

    Args:
        folder: the artifact.
        kind: one of `KINDS`.
        recipe: the artifact's, where it has been read already.

    Raises:
        GhostifyError: if the artifact, or one of these files, is damaged.
        OSError: if it cannot be read.
    """
    folder = Path(folder)
    identity = _identity(read_recipe(folder) if recipe is None else recipe, KINDS[kind])
    files = [folder / FOLDER / f"{kind}.json", *sorted((folder / FOLDER).glob(f"{kind}-*.json"))]
    entries = [
        read_checksummed(
            file,
            _FORMAT,
            otherwise="is no measurement",
            damaged="measure again, or remove it",
        )
        for file in files
        if file.is_file()
    ]
    return [entry["data"] for entry in entries if entry["of"] == identity]


def _identity(recipe: dict[str, Any], what: str) -> str:
    if what == "weights":
        return str(recipe["weights"]["sha256"])
    layers = recipe["plan"]["layers"]
    if what == "plan":
        return json_digest({name: entry.get("ghost") for name, entry in layers.items()})
    return json_digest({name: entry["geometry"] for name, entry in layers.items()})


def _file_name(kind: str, part: str) -> str:
    """One that every system takes, and another for another part."""
    if not part:
        return kind
    plain = "".join(letter if letter.isalnum() or letter in ".-" else "_" for letter in part)
    return f"{kind}-{plain if plain == part else f'{plain}-{json_digest(part)[:6]}'}"
