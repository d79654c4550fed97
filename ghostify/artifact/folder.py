"""Write a converted network to a folder and read it back: a readable recipe and its weights."""

from __future__ import annotations

import json
import re
import warnings
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from ghostify.analysis.model_copy import copy_model
from ghostify.conversion.swap import swap
from ghostify.io.atomic import WEIGHTS, check_target, new_folder
from ghostify.io.recipe import Recipe, Weights, read_recipe, write_recipe
from ghostify.models.foreign_tensors import load_safetensors
from ghostify.models.identity import file_digest
from ghostify.types import (
    Fidelity,
    GhostifyError,
    Lineage,
    ModelSource,
    OriginalWeights,
    Outputs,
    Plan,
    Recovery,
    SeenImages,
)
from ghostify.types.attachment import Attachment
from ghostify.types.errors import GhostifyWarning, first_line
from ghostify.types.regular_file import check_regular
from ghostify.types.version import __version__

Model = TypeVar("Model", bound=nn.Module)


def write_folder(
    model: nn.Module,
    path: Path,
    *,
    source: ModelSource | None,
    options: Mapping[str, Any] | None,
    force: bool,
) -> None:
    """Write ``ghostify.json`` and ``model.safetensors`` atomically.

    Raises:
        GhostifyError: If the model was not converted, the folder exists, a state is no tensor, or
            ``source`` or ``options`` are not JSON.
        OSError: If it cannot be written.
    """
    plan, weights = Plan.of(model), OriginalWeights.find(model)
    if source is not None and not isinstance(source, ModelSource):
        raise GhostifyError(f"`source` (={source!r}) must be a ModelSource")
    _check_json(source and source.to_dict(), "source of the model")
    _check_json(options, "options")
    state = _separate_tensors(model)
    check_target(path, force=force)
    with new_folder(path) as folder:
        try:
            save_file(state, folder / WEIGHTS)
        except SafetensorError as error:
            raise OSError(f"cannot write {path / WEIGHTS}: {first_line(error)}") from error
        recipe = Recipe(
            versions={"ghostify": __version__, "torch": torch.__version__},
            model=type(model).__name__,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            source=source,
            original=weights and weights.relative_to(path),
            options=options,
            plan=plan,
            outputs=Outputs.find(model),
            fidelity=Fidelity.find(model),
            recovery=Recovery.find(model),
            lineage=Lineage.of(model).steps,
            seen=SeenImages.find(model),
            weights=Weights(WEIGHTS, file_digest(folder / WEIGHTS)),
        )
        write_recipe(folder, recipe)


def beside(folder: Path, step: str) -> Path:
    """Return ``DIR-recovered`` of ``DIR``, and ``DIR-recovered-2`` of ``DIR-recovered``."""
    folder = folder if folder.name else folder.resolve()
    earlier = re.fullmatch(rf"(.*-{step})(?:-(\d+))?", folder.name)
    if earlier is None:
        return folder.with_name(f"{folder.name}-{step}")
    return folder.with_name(f"{earlier[1]}-{int(earlier[2] or 1) + 1}")


def read_folder(path: Path, model: Model) -> Model:
    """Convert ``model`` by the plan in a folder, and fill it with the saved weights.

    Raises:
        GhostifyError: If the artifact is damaged, or made from another network.
        OSError: If it cannot be read.
    """
    recipe, weights = _read(path)
    converted, plan = swap(model, recipe.plan)
    Attachment.remove_all(converted)  # those of ``model``
    try:
        _fill(converted, weights)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise GhostifyError(f"{path} was made from another network: {reason}") from error
    lineage = Lineage(recipe.lineage)
    original = recipe.original and recipe.original.located_in(path)
    kept = (plan, original, lineage, recipe.outputs, recipe.fidelity, recipe.recovery, recipe.seen)
    for attachment in kept:
        if attachment is not None:
            attachment.attach(converted)
    return converted


def in_type_of(original: nn.Module, model: Model, path: Path) -> Model:
    """Return a converted network; if its numbers have another type, a copy in the original's.

    Weights may be saved in half precision; inputs are as the original takes them.
    """
    known, saved = (
        dict.fromkeys(p.dtype for p in network.parameters() if p.is_floating_point())
        for network in (original, model)
    )
    if not known or saved.keys() <= known.keys():
        return model
    chosen = next(iter(known))
    warnings.warn(
        f"{path} holds {_type_names(saved)} weights: it is run in {_type_names([chosen])}",
        GhostifyWarning,
        stacklevel=3,
    )
    return copy_model(model).to(chosen)


def _type_names(types: Iterable[torch.dtype]) -> str:
    return ", ".join(str(each).removeprefix("torch.") for each in types)


def _read(path: Path) -> tuple[Recipe, dict[str, Tensor]]:
    """Return recipe and weights of one artifact, even if it is being replaced by another."""
    recipe = read_recipe(path)
    check_regular(path / WEIGHTS)
    while True:
        intact = file_digest(path / WEIGHTS) == recipe.weights.sha256
        weights = _load(path / WEIGHTS) if intact else {}
        earlier, recipe = recipe, read_recipe(path)
        if recipe != earlier:
            continue
        if not intact:
            raise GhostifyError(f"{path / WEIGHTS} is damaged: its checksum is not the recipe's")
        return recipe, weights


def _load(file: Path) -> dict[str, Tensor]:
    try:
        return load_safetensors(file)
    except SafetensorError as error:
        raise GhostifyError(f"{file} is damaged: {first_line(error)}") from error


def _fill(model: nn.Module, saved: dict[str, Tensor]) -> None:
    """Load a state dict; tensors of another type take the saved one's."""
    for name, tensor in model.state_dict(keep_vars=True).items():
        if tensor.is_meta:
            raise GhostifyError(f"{name} is on the meta device: pass a model with memory")
        if name in saved and tensor.dtype != saved[name].dtype:
            tensor.data = tensor.data.to(saved[name].dtype)
    filled = OrderedDict(saved)
    filled._metadata = model.state_dict()._metadata  # type: ignore[attr-defined]  # versions of layers
    model.load_state_dict(filled)


def _check_json(value: Any, what: str) -> None:
    try:
        json.dumps(value)
    except TypeError as error:
        raise GhostifyError(f"the {what} cannot be written: {error}") from error


def _separate_tensors(model: nn.Module) -> dict[str, Tensor]:
    """The state dict with each tensor in memory of its own, as safetensors wants it."""
    state, taken = {}, set()
    for name, tensor in model.state_dict().items():
        if not isinstance(tensor, Tensor) or tensor.is_meta:
            what = "on the meta device" if isinstance(tensor, Tensor) else "no tensor"
            raise GhostifyError(f"{name} cannot be saved: it is {what}")
        plain = tensor.contiguous()
        memory = plain.untyped_storage().data_ptr()
        state[name] = plain.clone() if memory in taken else plain
        taken.add(memory)
    return state
