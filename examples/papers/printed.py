"""The papers' tables as printed, from the data files in this folder."""

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
    """A network in a paper's table, with the printed numbers, and how to build it.

    Attributes:
        network: name of the network.
        params: such as ``7.7M``; None if not printed.
        macs: such as ``158M``; papers call them FLOPs. None if not printed.
        accuracy: published values, in the order of the table's; empty if not printed.
        model: MODEL, as on the command line; None if it cannot be built.
        arguments: arguments of the model's factory.
        ghost: what its convolutions are replaced with; None keeps them.
        fused: whether parallel branches are fused, as for inference.
        note: why the numbers differ, or another remark.
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
        name: name on the command line.
        title: title of the table.
        source: paper and number of the table.
        accuracy: kinds of the published accuracies, such as ``top-1``.
        counted: operators whose MACs the paper counts, as fvcore names them.
        stem: whether the first convolution is replaced too.
        rows: in the paper's order.
        note: how it was counted.
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
    """Return the table of this name.

    Raises:
        GhostifyError: if there is none.
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
    """Return a row of a file. It names its note, because rows may share one."""
    ghost, note = content.pop("ghost", None), content.pop("note", None)
    accuracy = tuple(content.pop("accuracy"))
    return PaperRow(
        accuracy=accuracy,
        ghost=GhostSpec(**ghost) if ghost else None,
        note=notes[note] if note else "",
        **content,
    )


def agrees(number: int, printed: str) -> bool:
    """Whether ``number`` equals ``printed``, such as ``7.7M``, after rounding to its digits."""
    mantissa = Decimal(printed[:-1])
    return Decimal(number).scaleb(-_UNITS[printed[-1]]).quantize(mantissa) == mantissa
