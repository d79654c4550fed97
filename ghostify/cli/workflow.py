"""The steps that commands have in common."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import ghostify
from ghostify import GhostifyError, GhostSpec, ModelSource, Plan
from ghostify.cli.options import Format
from ghostify.cli.terminal import note, show, stage
from ghostify.reporting.formats import FORMATS

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ghostify.reporting.document import Document


@dataclass(frozen=True)
class Subject:
    """The network a command works on, one input of it, and where it came from."""

    network: nn.Module
    example: Tensor
    source: ModelSource


def prepare(
    source: ModelSource, *, weights: Path | None = None, pretrained: bool = False
) -> Subject:
    """Build the network that the user named and fill it with the weights the user gave.

    Raises:
        GhostifyError: if that cannot be done; the message says what to do.
        OSError: if a file cannot be read.
    """
    if weights is not None and pretrained:
        raise GhostifyError("--weights and --pretrained exclude each other")
    with stage("loading torch"):
        from ghostify import zoo  # here, so that --help need not wait for torch
    with stage(f"building {source.name}"):
        network, source = zoo.build(source, pretrained=pretrained)
    if weights is not None:
        with stage(f"loading {weights}"):
            loaded = zoo.load_weights(network, weights)
        note(f"{weights}: {loaded}")
    return Subject(network, zoo.example(source), source)


def uniform_plan(
    subject: Subject,
    spec: GhostSpec,
    include: list[str] | None,
    exclude: list[str] | None,
    *,
    stem: bool,
    all_eligible: bool,
) -> Plan:
    """The plan that the options ask for."""
    return ghostify.plan(
        ghostify.analyze(subject.network, subject.example),
        ratio=spec.ratio,
        dw_size=spec.dw_size,
        include=include or (),
        exclude=exclude or (),
        stem=stem,
        all_eligible=all_eligible,
    )


def read_plan(path: Path) -> Plan:
    """A plan from a file.

    Raises:
        GhostifyError: naming the file and what is wrong in it.
        OSError: if it cannot be read.
    """
    try:
        return Plan.from_json(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise GhostifyError(f"{path}: {error}") from error


def print_document(document: Document, format: Format) -> None:
    """Print on stdout: tables for a person, or one of the forms for a program."""
    if format is Format.table:
        show(document)
    else:
        print(FORMATS[format.value](document), end="")
