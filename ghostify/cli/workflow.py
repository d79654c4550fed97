"""The steps that commands have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import ghostify
from ghostify import GhostifyError, GhostSpec, ModelSource, Plan, PlanCandidate, Sensitivity
from ghostify.cli.options import Format, source_of
from ghostify.cli.terminal import note, show, stage
from ghostify.io.measurements import record
from ghostify.planning import plan_sites
from ghostify.report.formats import FORMATS

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ghostify.report.document import Document

Noun = TypeVar("Noun", Plan, Sensitivity)


@dataclass(frozen=True)
class ModelContext:
    """The network a command works on, one input of it, and where it came from."""

    network: nn.Module
    example: Tensor
    source: ModelSource


def prepare(
    source: ModelSource, *, weights: Path | None = None, pretrained: bool = False
) -> ModelContext:
    """Build the network that the user named and fill it with the weights the user gave.

    Raises:
        GhostifyError: if that cannot be done; the message says what to do.
        OSError: if a file cannot be read.
    """
    if weights is not None and pretrained:
        raise GhostifyError("--weights and --pretrained exclude each other")
    with stage("loading torch"):
        from ghostify import models  # here, so that --help need not wait for torch
    with stage(f"building {source.name}"):
        network, source = models.build(source, pretrained=pretrained)
    if weights is not None:
        with stage(f"loading {weights}"):
            loaded = models.load_weights(network, weights)
        note(f"{weights}: {loaded}")
    return ModelContext(network, models.example(source), source)


def original_of(
    folder: Path,
    model: str | None,
    input: str | None,
    model_arg: list[str] | None,
    normalize: str | None = None,
) -> ModelSource:
    """Where an artifact's original comes from: what the user says of it, then what its folder says.

    Raises:
        GhostifyError: if the artifact is damaged, or neither says it.
        OSError: if it cannot be read.
    """
    with stage("loading torch"):
        from ghostify.artifact.artifact import read_source, remembered_source
    if model is None:
        said = read_source(folder)
    else:
        remembered = remembered_source(folder) or ModelSource(model)
        said = replace(remembered, name=model, arguments={})
    given = source_of(said.name, input, model_arg, normalize)
    return replace(
        said,
        arguments={**said.arguments, **given.arguments},
        input_size=given.input_size or said.input_size,
        normalization=given.normalization or said.normalization,
    )


def original_or_named(
    target: str,
    *,
    model: str | None,
    input: str | None,
    model_arg: list[str] | None,
    normalize: str | None = None,
) -> ModelSource:
    """The network that the user named, or the original of an artifact's folder.

    Raises:
        GhostifyError: as `original_of` does; or for a ``model`` that would do nothing.
    """
    if Path(target).is_dir():
        return original_of(Path(target), model, input, model_arg, normalize)
    if model is not None:
        raise GhostifyError(f"--model is for a folder, and {target} is none")
    return source_of(target, input, model_arg, normalize)


def network_or_artefact(
    target: str,
    *,
    model: str | None,
    input: str | None,
    model_arg: list[str] | None,
    weights: Path | None = None,
    pretrained: bool = False,
) -> ModelContext:
    """The network that the user named, or the converted one of an artifact's folder.

    Raises:
        GhostifyError: as `prepare` and `load` do; or for options that would do nothing.
    """
    source = original_or_named(target, model=model, input=input, model_arg=model_arg)
    if not Path(target).is_dir():
        return prepare(source, weights=weights, pretrained=pretrained)
    if weights is not None or pretrained:
        raise GhostifyError(f"{target} has its weights: drop --weights and --pretrained")
    original = prepare(source)
    with stage(f"loading {target}"):
        converted = ghostify.load(target, original.network)
    return replace(original, network=converted)


def remember(target: str | Path, kind: str, data: Mapping[str, Any], *, part: str = "") -> None:
    """Let an artifact remember what was measured of it; a target that is none does not."""
    if Path(target).is_dir():
        try:
            record(target, kind, data, part=part)
        except OSError as error:
            note(f"{target} does not remember it: {error}")


def remember_measured(target: str | Path, found: Sensitivity | PlanCandidate) -> None:
    """Let an artifact remember what was measured to make a plan."""
    if isinstance(found, PlanCandidate):
        remember(target, "plan-candidate", found.to_dict(), part=found.plan)
    else:
        remember(target, "sensitivity", found.to_dict())


def read_calibration(subject: ModelContext, path: str | Path, images: int) -> list[Tensor]:
    """Return batches of the calibration data that the user names.

    Raises:
        GhostifyError: if there are none that can be read.
    """
    from ghostify.data import open_calibration

    found = open_calibration(path, subject.network, subject.source, images=images)
    tell_skipped(found.skipped)
    return found.batches


def tell_skipped(skipped: Mapping[str, str]) -> None:
    """Count and name the images, files and folders that were skipped."""
    from ghostify.data import summarize_skipped

    if skipped:
        note(summarize_skipped(skipped))


def make_plan(
    subject: ModelContext,
    spec: GhostSpec,
    budget: list[str] | None,
    *,
    include: list[str] | None,
    exclude: list[str] | None,
    stem: bool,
    all_eligible: bool,
    runtime: str | None,
    threads: int,
    images: list[Tensor] | None,
    sensitivity_file: Path | None,
    try_out: bool = False,
    remembered: Callable[[Sensitivity | PlanCandidate], None],
) -> Plan:
    """The plan that the options ask for: uniform, or the one that keeps most within a budget.

    What is measured on the way is given to ``remembered``.
    """
    rules: dict[str, Any] = {
        "include": include or (),
        "exclude": exclude or (),
        "stem": stem,
        "all_eligible": all_eligible,
    }
    if runtime is not None:
        rules["latencies"] = ghostify.layer_latency(
            subject.network,
            subject.example,
            runtime=runtime,
            threads=threads,
            candidates=None if budget else [spec],
        )
    if not budget:
        with stage("planning"):
            sites = ghostify.analyze(subject.network, subject.example)
            return plan_sites(sites, ratio=spec.ratio, dw_size=spec.dw_size, **rules)
    if sensitivity_file is not None:
        sensitivity = read_noun(Sensitivity, sensitivity_file)
    else:
        sensitivity = ghostify.sensitivity(subject.network, subject.example, calibration=images)
    remembered(sensitivity)
    if try_out:
        return ghostify.search(
            subject.network,
            subject.example,
            budget=budget,
            calibration=images,
            sensitivity=sensitivity,
            on_candidate=remembered,
            runtime=runtime,
            threads=threads,
            **{name: rule for name, rule in rules.items() if name != "latencies"},
        )
    sites = ghostify.analyze(subject.network, subject.example)
    return plan_sites(sites, budget=budget, sensitivity=sensitivity, **rules)


def read_noun(noun: type[Noun], path: Path) -> Noun:
    """A plan or a sensitivity from a file.

    Raises:
        GhostifyError: naming the file and what is wrong in it.
        OSError: if it cannot be read.
    """
    try:
        return noun.from_json(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise GhostifyError(f"{path}: {error}") from error


def print_document(document: Document, format: Format) -> None:
    """Print on stdout: tables for a person, or one of the forms for a program."""
    if format is Format.table:
        show(document)
    else:
        print(FORMATS[format.value](document), end="")
