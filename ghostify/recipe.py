"""What an artefact says of itself: ``ghostify.json``, under a checksum of its own."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from ghostify.files import RECIPE
from ghostify.spec import GhostifyError
from ghostify.spec.errors import first_line
from ghostify.spec.readable import readable_json

_FORMAT = "ghostify/1"


def read_recipe(path: Path) -> dict[str, Any]:
    """The recipe of the artefact at ``path``.

    Raises:
        GhostifyError: if there is none, or it is damaged.
        OSError: if it cannot be read.
    """
    file = path / RECIPE
    if not file.is_file():
        raise GhostifyError(f"{path} is no ghostify artefact: it has no {RECIPE}")
    try:
        recipe = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise GhostifyError(f"{file} is damaged: {first_line(error)}") from error
    if not isinstance(recipe, dict) or recipe.get("format") != _FORMAT:
        raise GhostifyError(f'{file} is not a recipe: "format" must be "{_FORMAT}"')
    if recipe.pop("digest", None) != json_digest(recipe):
        raise GhostifyError(f"{file} is damaged: its checksum does not fit what it says")
    return recipe


def write_recipe(path: Path, entries: dict[str, Any]) -> None:
    """Write the recipe of the artefact at ``path``.

    Raises:
        OSError: if it cannot be written.
    """
    recipe = {"format": _FORMAT, **entries}
    recipe["digest"] = json_digest(recipe)
    (path / RECIPE).write_text(readable_json(recipe, depth=3) + "\n", encoding="utf-8")


def file_digest(file: Path) -> str:
    """The SHA-256 of a file."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def json_digest(data: Any) -> str:
    """The SHA-256 of data of JSON types, in whatever order its keys are."""
    canonical = json.dumps(data, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
