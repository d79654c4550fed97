"""Measurements of an artifact, one JSON file each in its folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from ghostify.io.atomic import MEASUREMENTS, inside, write_text
from ghostify.io.checksummed_json import checksummed, json_digest, read_checksummed
from ghostify.io.recipe import Recipe, read_recipe
from ghostify.types import GhostifyError
from ghostify.types.serialization import Serializable, decode
from ghostify.types.version import __version__

T = TypeVar("T")

KINDS = {
    "compression": "weights",
    "costs": "plan",
    "evaluation": "weights",
    "export": "weights",
    "feature-maps": "weights",
    "plan-candidate": "original",
    "sensitivity": "original",
    "timing": "plan",
}
"""Kinds of measurements, and the part of the artifact whose change makes them invalid."""

_GEOMETRY = ("geometry", "positions")
_PARTS = {"original": _GEOMETRY, "plan": (*_GEOMETRY, "ghost", "width")}
"""What a layer's entry in the plan says of a part; positions follow from the input size."""


@dataclass(frozen=True, slots=True)
class _Measurement(Serializable):
    """A measurement of the artifact whose part has the checksum ``of``."""

    _format: ClassVar[str] = "ghostify-measurement/1"

    of: str
    when: str
    ghostify: str
    data: Mapping[str, Any]


def record(folder: str | Path, kind: str, data: Mapping[str, Any], *, part: str = "") -> None:
    """Store a measurement in an artifact, in place of an earlier one.

    Args:
        folder: the artifact.
        kind: a key of `KINDS`.
        data: JSON types.
        part: distinguishes measurements of one kind, such as ``onnxruntime-b1-t2``.
    """
    folder = Path(folder)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    measurement = _Measurement(_identity(read_recipe(folder), kind), now, __version__, data)
    _write(folder, f"{_file_name(kind, part)}.json", measurement)


def recorded(
    folder: str | Path, kind: str, *, recipe: Recipe | None = None
) -> list[dict[str, Any]]:
    """Return the ``data`` of all measurements of a kind that are valid for the artifact.

    Args:
        folder: the artifact.
        kind: a key of `KINDS`.
        recipe: the recipe of the artifact, if it has been read already.
    """
    valid = _valid(Path(folder), kind, recipe or read_recipe(Path(folder)))
    return [dict(measurement.data) for measurement in valid.values()]


def read_measurements(
    folder: str | Path, kind: str, cls: type[T], *, recipe: Recipe | None = None
) -> tuple[T, ...]:
    """Return what `recorded` does as instances of ``cls``, or as dicts checked as a TypedDict.

    Raises:
        GhostifyError: naming the file that does not fit, and its first wrong entry.
    """
    found = []
    for file, each in _valid(Path(folder), kind, recipe or read_recipe(Path(folder))).items():
        try:
            found.append(decode(cls, each.data, "data"))
        except GhostifyError as error:
            raise GhostifyError(f"{file} is damaged: {error}") from error
    return tuple(found)


def carry_over(old: Path, new: Path) -> None:
    """Copy the measurements of an artifact that hold for another one, whose weights differ."""
    recipe = read_recipe(new)
    for kind in KINDS:
        for file, measurement in _valid(old, kind, recipe).items():
            _write(new, file.name, measurement)


def _write(folder: Path, name: str, measurement: _Measurement) -> None:
    inside(folder, MEASUREMENTS).mkdir(exist_ok=True)
    write_text(inside(folder, MEASUREMENTS, name), checksummed(measurement.to_dict()))


def _valid(folder: Path, kind: str, recipe: Recipe) -> dict[Path, _Measurement]:
    """Return the measurements of a kind in a folder that are valid for a recipe."""
    identity = _identity(recipe, kind)
    files = [
        folder / MEASUREMENTS / f"{kind}.json",
        *sorted((folder / MEASUREMENTS).glob(f"{kind}-*.json")),
    ]
    found = {file: read_checksummed(file, _Measurement) for file in files if file.is_file()}
    return {file: each for file, each in found.items() if each.of == identity}


def _identity(recipe: Recipe, kind: str) -> str:
    """Return a checksum of the part of the artifact that the measurement is of."""
    if KINDS[kind] == "weights":
        return recipe.weights.sha256
    keys = _PARTS[KINDS[kind]]
    layers = recipe.plan.to_dict()["layers"].items()
    found = {name: [entry.get(key) for key in keys] for name, entry in layers}
    weights = recipe.original and recipe.original.digest
    return json_digest([found, weights] if KINDS[kind] == "original" else found)


def _file_name(kind: str, part: str) -> str:
    """Return a name that every file system allows, and that differs for each part."""
    if not part:
        return kind
    plain = "".join(letter if letter.isalnum() or letter in ".-" else "_" for letter in part)
    return f"{kind}-{plain if plain == part else f'{plain}-{json_digest(part)[:6]}'}"
