"""The papers' tables, from the data files beside this one."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import Any

from ghostify.spec import GhostifyError, GhostSpec
from ghostify.spec.errors import near
from ghostify.spec.paper import PaperRow, PaperTable

NAMES = ("vgg16-kernel", "vgg16-ratio", "cifar10", "resnet50", "imagenet", "coco")
"""In the order of the paper."""


def read_table(name: str) -> PaperTable:
    """The table of this name.

    Raises:
        GhostifyError: if there is none, with those that there are.
    """
    if name not in NAMES:
        known = ", ".join(NAMES)
        raise GhostifyError(f"unknown table {name!r}{near(name, NAMES)}; there are {known}")
    content = tomllib.loads(files(__package__).joinpath(f"{name}.toml").read_text("utf-8"))
    notes = content.pop("notes", {})
    rows = tuple(_row(row, notes) for row in content.pop("rows"))
    accuracy, counted = tuple(content.pop("accuracy")), tuple(content.pop("counted"))
    return PaperTable(name=name, rows=rows, accuracy=accuracy, counted=counted, **content)


def _row(content: dict[str, Any], notes: dict[str, str]) -> PaperRow:
    """A row of a file, which names its note, as rows may share one."""
    ghost, note = content.pop("ghost", None), content.pop("note", None)
    accuracy = tuple(content.pop("accuracy"))
    return PaperRow(
        accuracy=accuracy,
        ghost=GhostSpec(**ghost) if ghost else None,
        note=notes[note] if note else "",
        **content,
    )
