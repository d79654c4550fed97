"""The papers' tables as printed, from the data files beside this one."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from ghostify.types import GhostifyError, GhostSpec
from ghostify.types.errors import near

_UNITS = {"K": 3, "M": 6, "G": 9}


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperRow:
    """A network in a paper's table, with its numbers as printed, and how to make it here.

    Attributes:
        network: the network's name.
        params: such as ``7.7M``; None where the paper has none.
        macs: such as ``158M``, which papers call FLOPs; None where the paper has none.
        accuracy: published, in the order of the table's; empty text where the paper has none.
        model: MODEL, as on the command line; None where only the paper's numbers are known.
        arguments: for the model's factory.
        ghost: what its convolutions become; None leaves them.
        fused: parallel branches are made one convolution each, as for inference.
        note: why the paper's numbers cannot be met, or what else a reader must know.
    """

    network: str
    params: str | None = None
    macs: str | None = None
    accuracy: tuple[str, ...]
    model: str | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    ghost: GhostSpec | None = None
    fused: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperTable:
    """A table of a paper.

    Attributes:
        name: on the command line.
        title: what it shows.
        source: paper and number of the table.
        accuracy: what the published accuracies are, such as ``top-1``.
        counted: operators whose MACs the paper counts, as fvcore names them.
        stem: the first convolution is replaced, too.
        rows: in the paper's order.
        note: on how it was counted.
    """

    name: str
    title: str
    source: str
    accuracy: tuple[str, ...]
    counted: tuple[str, ...]
    stem: bool
    rows: tuple[PaperRow, ...]
    note: str = ""


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
    content = tomllib.loads(Path(__file__).with_name(f"{name}.toml").read_text("utf-8"))
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


def agrees(number: int, printed: str) -> bool:
    """Whether ``number`` is what is ``printed``, such as ``7.7M``, rounded to as many digits."""
    mantissa = Decimal(printed[:-1])
    return Decimal(number).scaleb(-_UNITS[printed[-1]]).quantize(mantissa) == mantissa
