"""Weights from a file into a network."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ghostify.types import GhostifyError
from ghostify.types.errors import first_line

_NESTS = ("state_dict", "model_state_dict", "model", "module", "net")
_COUNTS = ("total_ops", "total_params")
_PREFIXES = ("module.", "_orig_mod.", "model.")


@dataclass(frozen=True, slots=True)
class LoadedWeights:
    """What of a file went into the network.

    Attributes:
        loaded: names filled from the file.
        missing: names of the network that the file lacks.
        unexpected: names of the file that the network lacks.
        misshapen: names in both whose shapes differ.
    """

    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    misshapen: tuple[str, ...]

    def __str__(self) -> str:
        parts = [f"{len(self.loaded)} tensors loaded"]
        for word in ("missing", "unexpected", "misshapen"):
            found = getattr(self, word)
            if found:
                more = f" and {len(found) - 3} more" if len(found) > 3 else ""
                parts.append(f"{len(found)} {word} ({', '.join(found[:3])}{more})")
        return "; ".join(parts)


def load_weights(model: nn.Module, path: str | Path) -> LoadedWeights:
    """Fill ``model`` from a safetensors file or a checkpoint that holds tensors only.

    The nests that training scripts wrap a state dict in (``state_dict``, ``model``, ...) and the
    prefixes that wrappers leave on its names (``module.``, ``_orig_mod.``) are taken off. Counts
    that a profiler has left among the weights, as in the GhostNets' checkpoints, are passed over,
    and the batch norms of GhostNetV3's authors get the name that they have here and in timm.

    Raises:
        GhostifyError: if the file cannot be read, holds pickled code, or fits less than half of
            the network.
        OSError: if there is no such file.
    """
    path = Path(path)
    own = model.state_dict()
    state = _renamed(_without_prefix(_unwrap(_read(path), path), model), own)
    fitting = {n: t for n, t in state.items() if n in own and own[n].shape == t.shape}
    if 2 * len(fitting) < len(own):
        raise GhostifyError(
            f"{len(fitting)} of the {len(own)} tensors of {type(model).__name__} fit those in "
            f"{path}: wrong network?"
        )
    model.load_state_dict(fitting, strict=False)
    return LoadedWeights(
        loaded=tuple(fitting),
        missing=tuple(n for n in own if n not in state),
        unexpected=tuple(n for n in state if n not in own),
        misshapen=tuple(n for n in state if n in own and n not in fitting),
    )


def _read(path: Path) -> Any:
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except SafetensorError as error:
            raise GhostifyError(f"{path} is damaged: {first_line(error)}") from error
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Detected pickle protocol", UserWarning)
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "Weights only load failed" not in str(error) or "Unsupported" not in str(error):
            raise GhostifyError(f"{path} is not a checkpoint") from error
        raise GhostifyError(
            f"{path} holds pickled objects besides tensors and is refused, since loading it could "
            "run code: save the state dict alone, or as safetensors"
        ) from error
    except FileNotFoundError:
        raise
    except KeyError as error:  # of torch's unpickler, which met a byte that it does not know
        raise GhostifyError(f"{path} is not a checkpoint") from error
    except (OSError, RuntimeError, EOFError, ValueError) as error:
        raise GhostifyError(f"{path} is not a checkpoint: {first_line(error)}") from error


def _unwrap(content: Any, path: Path) -> dict[str, Tensor]:
    while isinstance(content, Mapping):
        nest = next((n for n in _NESTS if isinstance(content.get(n), Mapping)), None)
        if nest is None:
            break
        content = content[nest]
    tensors = (
        {n: t for n, t in content.items() if isinstance(t, Tensor) and not _is_count(n)}
        if isinstance(content, Mapping)
        else {}
    )
    if not tensors:
        raise GhostifyError(f"{path} holds no tensors by name")
    return tensors


def _is_count(name: str) -> bool:
    return name.rpartition(".")[2] in _COUNTS


def _renamed(state: dict[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The names of GhostNetV3's authors, ``.bn.``, made ``.bn1.`` where the network has that."""

    def name_here(name: str) -> str:
        other = name.replace(".bn.", ".bn1.")
        return other if name not in own and other in own else name

    return {name_here(name): tensor for name, tensor in state.items()}


def _without_prefix(state: dict[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """Take wrappers' prefixes off as long as that is what all names have and the model has not."""
    own = model.state_dict().keys()
    while prefix := next((p for p in _PREFIXES if all(n.startswith(p) for n in state)), None):
        if not own.isdisjoint(state):
            break
        state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    return state
