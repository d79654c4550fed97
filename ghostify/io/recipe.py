"""The recipe of an artifact, ``ghostify.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypedDict

from ghostify.io.atomic import RECIPE, TRAINING
from ghostify.io.checksummed_json import checksummed, read_checksummed
from ghostify.io.staging import finish
from ghostify.types import (
    Fidelity,
    GhostifyError,
    ModelSource,
    OriginalWeights,
    Outputs,
    Plan,
    Recovery,
    SeenImages,
)
from ghostify.types.constraints import Length
from ghostify.types.serialization import Like, Serializable


@dataclass(frozen=True)
class Weights:
    """A file with weights, and its SHA-256."""

    file: str
    sha256: str


class _Versions(TypedDict):
    ghostify: str
    torch: str


@dataclass(frozen=True, kw_only=True)
class Recipe(Serializable):
    """What an artifact holds, and how it was made.

    Attributes:
        versions: versions of packages by name.
        model: class name of the model.
        created: time of the conversion in ISO format.
        source: how to build the original.
        original: which weights the original had.
        options: options of the plan, in JSON types.
        outputs: what the outputs are, as far as a step has found.
        lineage: what was done to the network, as in `Lineage`.
        seen: images that the network was fitted to, as far as they are known.
    """

    _format: ClassVar[str] = "ghostify/1"

    versions: Annotated[Mapping[str, str], Like(_Versions)]
    model: str
    created: str | None = None
    source: ModelSource | None = None
    original: OriginalWeights | None = None
    options: Mapping[str, Any] | None = None
    plan: Plan
    outputs: Outputs | None = None
    fidelity: Fidelity | None = None
    recovery: Recovery | None = None
    lineage: Annotated[tuple[str, ...], Length(1)] = ("converted",)
    seen: SeenImages | None = None
    weights: Weights


def read_recipe(path: Path) -> Recipe:
    """Read the recipe of the artifact at ``path``; it must be there, and not damaged."""
    file = path / RECIPE
    finish(file.resolve())
    if not file.is_file():
        if (path / TRAINING).is_dir():
            raise GhostifyError(f"{path} holds an unfinished training: resume it by recover")
        raise GhostifyError(f"{path} is not a ghostify artifact: it has no {RECIPE}")
    return read_checksummed(file, Recipe)


def write_recipe(path: Path, recipe: Recipe) -> None:
    """Write the recipe of the artifact at ``path``."""
    text = checksummed(recipe.to_dict())
    (path / RECIPE).write_text(text, encoding="utf-8", errors="backslashreplace")
