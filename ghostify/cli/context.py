"""From what the user names to networks, artifacts, images and plans."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import ghostify
from ghostify import GhostifyError, Plan
from ghostify.cli.options import (
    DataOptions,
    ImageOptions,
    ModelOptions,
    OriginalOptions,
    SiteOptions,
)
from ghostify.cli.terminal import note, stage
from ghostify.io.atomic import RECIPE
from ghostify.types import ModelSource, Outputs, Sensitivity
from ghostify.types.preprocessing import ASSUMED, ENLARGED

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ghostify import Artifact
    from ghostify.data import Calibration, Data

Readable = TypeVar("Readable", Plan, Sensitivity)

_PREPROCESSING = ("resize", "crop", "interpolation", "normalize")


@dataclass(frozen=True)
class ModelContext:
    """The network a command works on, one input of it, and where it comes from."""

    model: nn.Module
    example: Tensor
    source: ModelSource


def build(name: str, options: ModelOptions, device: str = "cpu") -> ModelContext:
    """Build the network that the user named, and load the weights that the user gave.

    Raises:
        GhostifyError: if that cannot be done; the message says what to do.
        OSError: if a file cannot be read.
    """
    if Path(name, RECIPE).is_file():
        raise GhostifyError(f"{name} is a folder of a converted network: name an original network")
    source = ModelSource.parse(name, options.input, options.model_arg or ())
    found = _build(source, options, device)
    if options.weights is not None:
        with stage(f"loading {options.weights}"):
            from ghostify import models

            loaded = models.load_weights(found.model, options.weights, partial=options.partial)
        note(f"{options.weights}: {loaded}")
    if options.reparameterize:
        with stage("merging branches"):
            merged = ghostify.reparameterize(found.model, found.example)
        if merged.state_dict().keys() == found.model.state_dict().keys():
            raise GhostifyError(f"{name} has no branches to merge: drop --reparameterize")
        found = replace(found, model=merged)
    return found


def _build(source: ModelSource, options: ModelOptions, device: str) -> ModelContext:
    if options.weights is not None and options.pretrained:
        raise GhostifyError("--weights and --pretrained exclude each other")
    if options.partial and options.weights is None:
        raise GhostifyError("--partial is for --weights: add it")
    with stage("loading torch"):
        from ghostify import models  # all here, so that --help need not wait for torch
        from ghostify.analysis.dry_run import materialize
        from ghostify.data.batches import find_device
    place = find_device(device)
    with stage(f"building {source.name}"):
        model, source = models.build(source, pretrained=options.pretrained)
    chosen = {name: getattr(options, name) for name in _PREPROCESSING}
    if source.preprocessing is not None:
        source = replace(source, preprocessing=source.preprocessing.changed(chosen))
    example = models.example(source).to(place)
    return ModelContext(materialize(model.to(place), example), example, source)


def short_name(model: str) -> str:
    """Return ``resnet50`` of ``timm:resnet50``, ``net`` of ``path/net.py:build``."""
    place, _, name = model.rpartition(":")
    return Path(place).stem if place.endswith(".py") else name


def build_original(folder: Path, options: OriginalOptions, device: str = "cpu") -> ModelContext:
    """Build the original of an artifact: by what the user says, and else what the folder says.

    Its weights are not read: the artifact does that where it needs them.

    Raises:
        GhostifyError: if the artifact is damaged, or neither says it; and as `build` does.
        OSError: if it cannot be read.
    """
    if options.reparameterize:
        raise GhostifyError(f"{folder} says whether branches were merged: drop --reparameterize")
    with stage("loading torch"):
        from ghostify.io.recipe import read_recipe
        from ghostify.models.registry import is_named, untrusted_arguments
    known = read_recipe(folder).source
    if options.model is not None:
        if known is None or known.name != options.model:
            known = replace(known or ModelSource(""), name=options.model, arguments={})
    elif known is None:
        raise GhostifyError(f"{folder} does not say what it was made from: add --model")
    elif not is_named(known):
        size = "" if known.input_size or options.input else " --input CxHxW"
        raise GhostifyError(
            f"{folder} was made from your own code. For safety, code named in a folder is not run: "
            f"add --model {shlex.quote(known.name)}{size}"
        )
    given = ModelSource.parse(known.name, options.input, options.model_arg or ())
    for name in untrusted_arguments(known):
        if name not in given.arguments:
            raise GhostifyError(
                f"{folder} was made with the argument {name!r} of {known.name}. For safety, an "
                f"argument that could name a file is not used unasked: add --model-arg {name}=VALUE"
            )
    source = replace(known, arguments={**known.arguments, **given.arguments})
    if given.input_size:
        source = source.resized(given.input_size)
    return _build(source, options, device)


def build_target(target: str, options: OriginalOptions, device: str = "cpu") -> ModelContext:
    """Build the network that the user named, or the original of an artifact.

    Raises:
        GhostifyError: as `build_original` does; or for a --model that would do nothing.
    """
    if Path(target).is_dir():
        return build_original(Path(target), options, device)
    if options.model is not None:
        raise GhostifyError(f"--model is for a folder, and {target} is not one")
    return build(target, options, device)


def open_artifact(
    folder: Path, options: OriginalOptions, device: str = "cpu"
) -> tuple[Artifact, ModelContext]:
    """Open an artifact and build its original; the converted network is not read yet.

    Raises:
        GhostifyError: as `build_original` does.
    """
    context = build_original(folder, options, device)
    artifact = ghostify.Artifact(
        folder, context.model, weights=options.weights, example=context.example
    )
    return artifact, context


def open_target(
    target: str, options: OriginalOptions, device: str = "cpu"
) -> tuple[ModelContext, Artifact | None]:
    """Build the network that the user named; of a folder its original, with the artifact.

    Raises:
        GhostifyError: as `build_target` does.
    """
    if Path(target).is_dir():
        artifact, context = open_artifact(Path(target), options, device)
        return context, artifact
    return build_target(target, options, device), None


def measure_sensitivity(
    context: ModelContext,
    artifact: Artifact | None,
    images: Calibration | None,
    outputs: str | None,
) -> Sensitivity:
    """Measure a sensitivity, which the artifact remembers if there is one."""
    if artifact is not None:
        return artifact.sensitivity(calibration=images, outputs=outputs)
    return ghostify.sensitivity(context.model, context.example, calibration=images, outputs=outputs)


def load_artifact(
    folder: Path, options: OriginalOptions, device: str = "cpu"
) -> tuple[Artifact, ModelContext]:
    """Open an artifact, build its original and read the converted network.

    Raises:
        GhostifyError: as `build_original` and `load` do.
    """
    artifact, context = open_artifact(folder, options, device)
    with stage(f"loading {folder}"):
        _ = artifact.model
    return artifact, context


def read_calibration(
    context: ModelContext, options: ImageOptions, *, evaluation: bool = False
) -> Calibration | None:
    """Read batches of the images that the user named, to calibrate with or to evaluate on.

    Raises:
        GhostifyError: if none can be read.
    """
    if options.calibration is None:
        return None
    from ghostify.data import open_calibration

    with stage(f"reading {options.calibration}"):
        found = open_calibration(
            options.calibration,
            context.model,
            context.source,
            images=256 if options.images is None else options.images,
            evaluation=evaluation,
        )
    _note_preprocessing(found.preprocessing)
    note_skipped(found.skipped)
    return found


def open_data(
    context: ModelContext,
    options: DataOptions,
    *,
    scored: nn.Module | None = None,
    **arguments: Any,
) -> Data:
    """Open the images to train on and to evaluate on, or to score a network on.

    Args:
        scored: the network, as for `open_evaluation`.
        arguments: others of `ghostify.open_data`.

    Raises:
        GhostifyError: as `ghostify.open_data` does.
    """
    from ghostify.data import open_evaluation

    if options.held_out is not None:
        arguments["held_out"] = options.held_out
    models: Any = context.model if scored is None else [context.model, scored]
    with stage(f"opening {options.data}"):
        opened = (ghostify.open_data if scored is None else open_evaluation)(
            options.data,
            models,
            context.source,
            batch_size=options.batch_size,
            workers=options.workers,
            data_root=options.data_root,
            labels=not options.no_labels,
            **arguments,
        )
    _note_preprocessing(opened.preprocessing)
    return opened


def _note_preprocessing(preprocessing: str) -> None:
    """Say what is done to images; of a guess, which options change it."""
    ask = ". If it was trained with others: --normalize" if f"[{ASSUMED}]" in preprocessing else ""
    ask += ". If it was trained on smaller inputs: --input" if ENLARGED in preprocessing else ""
    note(f"images: {preprocessing}{ask}")


def note_skipped(skipped: Mapping[str, str]) -> None:
    """Count and name the images, files and folders that were skipped."""
    from ghostify.data import summarize_skipped

    if skipped:
        note(summarize_skipped(skipped))


def note_outputs(outputs: Outputs) -> None:
    """Say what the outputs are taken for, and how to say otherwise."""
    other = "classes or multilabel if they are logits"
    if outputs.are_scores:
        other = "values if they are not"
    note(f"outputs: {outputs}" + ("" if outputs.given else f"; --outputs {other}"))


def plan_arguments(options: SiteOptions) -> dict[str, Any]:
    """The arguments of `ghostify.plan` that the user gave.

    Raises:
        GhostifyError: if the sensitivity or no pruning is without a budget, or the file is none.
        OSError: if it cannot be read.
    """
    if options.sensitivity is not None and not options.budget:
        raise GhostifyError("--sensitivity is for a --budget: add one")
    if not options.prune and not options.budget:
        raise GhostifyError("--no-prune is for a --budget: add one")
    return {
        "include": options.include or (),
        "exclude": options.exclude or (),
        "stem": options.stem,
        "all_eligible": options.all_eligible,
        "budget": options.budget or None,
        "prune": options.prune,
        "sensitivity": options.sensitivity and read(Sensitivity, options.sensitivity),
    }


def read(kind: type[Readable], path: Path) -> Readable:
    """Read a plan or a sensitivity from a file.

    Raises:
        GhostifyError: naming the file and what is wrong in it.
        OSError: if it cannot be read.
    """
    try:
        return kind.load(path)
    except GhostifyError as error:  # names keys of the file, not options
        message = str(error).replace("`", "'")
        made = f"; ghostify {kind.__name__.lower()} -o FILE writes one"
        raise GhostifyError(message + made * ("not JSON" in message)) from error
