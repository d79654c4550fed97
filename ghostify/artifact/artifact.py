"""A converted model on disk: a readable recipe and its weights, never a pickle."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar, overload

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ghostify.analysis.arguments import check_model
from ghostify.conversion.convert import convert
from ghostify.io.atomic import check_target, new_folder
from ghostify.io.recipe import file_digest, naming_recipe, read_recipe, write_recipe
from ghostify.models.registry import build, is_named
from ghostify.types import Fidelity, GhostifyError, ModelSource, Plan, Recovery
from ghostify.types.errors import first_line
from ghostify.types.version import __version__

Model = TypeVar("Model", bound=nn.Module)

_WEIGHTS = "model.safetensors"


def save(
    model: nn.Module,
    path: str | Path,
    *,
    source: ModelSource | None = None,
    options: Mapping[str, Any] | None = None,
    force: bool = False,
) -> Path:
    """Write a converted model to a folder: ``ghostify.json`` and ``model.safetensors``.

    The folder appears whole or not at all.

    Args:
        model: what `convert` returned, perhaps trained since.
        path: the folder to make.
        source: where the unconverted model comes from, so that `load` can build it by itself.
        options: what the plan was made by, such as ``{"budget": ["macs=0.5"]}``; for reports.
        force: replace an artifact that stands there already.

    Raises:
        GhostifyError: if the model was not converted, the folder exists, or there is something to
            save that is no tensor or, in ``source`` and ``options``, no JSON.
        OSError: if it cannot be written.
    """
    path = Path(path)
    check_model(model)
    plan = Plan.of(model)
    provenance = _provenance(source)
    _check_json(options, "options")
    state = _separate_tensors(model)
    check_target(path, force=force)
    with new_folder(path) as folder:
        try:
            save_file(state, folder / _WEIGHTS)
        except SafetensorError as error:
            raise OSError(f"cannot write {path / _WEIGHTS}: {first_line(error)}") from error
        recipe = {
            "versions": {"ghostify": __version__, "torch": torch.__version__},
            "model": type(model).__name__,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "source": provenance,
            "options": None if options is None else dict(options),
            "plan": plan.to_dict(),
            "fidelity": fidelity.to_dict() if (fidelity := Fidelity.find(model)) else None,
            "recovery": recovery.to_dict() if (recovery := Recovery.find(model)) else None,
            "weights": {"file": _WEIGHTS, "sha256": file_digest(folder / _WEIGHTS)},
        }
        write_recipe(folder, recipe)
    return path


def resave(model: nn.Module, path: str | Path) -> Path:
    """Write new weights of the network of an artifact, whose recipe stays otherwise.

    The new artifact takes its place whole or not at all.

    Args:
        model: what `load` read from there, changed since.
        path: the artifact.

    Raises:
        GhostifyError: if the model has another plan than the artifact, or as `save` does.
        OSError: if it cannot be written.
    """
    path = Path(path)
    check_model(model)
    recipe = read_recipe(path)
    if Plan.of(model).to_dict() != recipe["plan"]:
        raise GhostifyError(f"{path} is another conversion: save to another folder")
    source, options = _source_of(path, recipe), recipe.get("options")
    return save(model, path, source=source, options=options, force=True)


@overload
def load(path: str | Path, model: Model) -> Model: ...
@overload
def load(path: str | Path, model: None = None) -> nn.Module: ...
def load(path: str | Path, model: nn.Module | None = None) -> nn.Module:
    """Read a converted model back.

    Args:
        path: a folder that `save` made.
        model: the unconverted network, whose weights do not matter; it is not changed. Not needed
            where the artifact was made from a named network of torchvision or timm.

    Returns:
        The converted model with the saved weights in their saved types, on the devices of
        ``model``. No code of the artifact is run.

    Raises:
        GhostifyError: if the artifact is damaged, or made from another network.
        OSError: if it cannot be read.
    """
    if model is not None:
        check_model(model)
    path = Path(path)
    recipe = read_recipe(path)
    with naming_recipe(path):
        plan = Plan.from_dict(recipe["plan"])
        expected = recipe["weights"]["sha256"]
        fidelity = recipe.get("fidelity") and Fidelity.from_dict(recipe["fidelity"])
        recovery = recipe.get("recovery") and Recovery.from_dict(recipe["recovery"])
    source = _source_of(path, recipe)
    weights = path / _WEIGHTS
    if file_digest(weights) != expected:
        raise GhostifyError(f"{weights} is damaged: its checksum is not the recipe's")
    converted = convert(build(_named(path, source))[0] if model is None else model, plan=plan)
    try:
        _fill(converted, load_file(weights))
    except (SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise GhostifyError(f"{path} was made from another network: {reason}") from error
    if fidelity:
        fidelity.attach(converted)
    if recovery:
        recovery.attach(converted)
    return converted


def read_source(path: str | Path) -> ModelSource:
    """Where the unconverted model of an artifact comes from.

    Raises:
        GhostifyError: if the artifact is damaged, does not say it, or names code of the user's.
        OSError: if it cannot be read.
    """
    return _named(Path(path), remembered_source(path))


def remembered_source(path: str | Path) -> ModelSource | None:
    """What an artifact says of its unconverted model, which may be code of the user's.

    Raises:
        GhostifyError: if the artifact is damaged.
        OSError: if it cannot be read.
    """
    return _source_of(Path(path), read_recipe(Path(path)))


def _source_of(path: Path, recipe: dict[str, Any]) -> ModelSource | None:
    with naming_recipe(path):
        return recipe["source"] and ModelSource.from_dict(recipe["source"])


def _fill(model: nn.Module, saved: dict[str, Tensor]) -> None:
    """Load a state dict; tensors of another type take the saved one's."""
    for name, tensor in model.state_dict(keep_vars=True).items():
        if tensor.is_meta:
            raise GhostifyError(f"{name} is on the meta device: pass a model with memory")
        if name in saved and tensor.dtype != saved[name].dtype:
            tensor.data = tensor.data.to(saved[name].dtype)
    own = model.state_dict()
    filled = OrderedDict(saved)
    filled._metadata = own._metadata  # type: ignore[attr-defined]  # some layers ask for a version
    model.load_state_dict(filled)


def _provenance(source: ModelSource | None) -> dict[str, Any] | None:
    if source is None:
        return None
    if not isinstance(source, ModelSource):
        raise GhostifyError(f"source (={source!r}) must be a ModelSource")
    described = source.to_dict()
    _check_json(described, "source of the model")
    return described


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


def _named(path: Path, source: ModelSource | None) -> ModelSource:
    if source is None:
        raise GhostifyError(f"{path} does not say what it was made from: pass the model as `model`")
    if not is_named(source):
        raise GhostifyError(
            f"{path} was made from your own code ({source.name}), which is not run for safety: "
            "pass the model as `model`"
        )
    return source
