"""Load weights from a file into a network."""

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

from ghostify.models.identity import attach_origin
from ghostify.nn.lazy import check_not_lazy
from ghostify.types import GhostifyError
from ghostify.types.errors import first_line

_NESTED_UNDER = ("state_dict", "model_state_dict", "model", "module", "net")
_PROFILER_BUFFERS = ("total_ops", "total_params")
_WRAPPER_PREFIXES = ("module.", "_orig_mod.", "model.")


@dataclass(frozen=True, slots=True)
class LoadedWeights:
    """The result of `load_weights`.

    Attributes:
        loaded: names of the tensors that were loaded.
        missing: names in the network that the file lacks.
        unexpected: names in the file that the network lacks.
        mismatched: names in both whose shapes differ.
    """

    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    mismatched: tuple[str, ...]

    def __str__(self) -> str:
        parts = [f"{len(self.loaded)} tensors loaded"]
        reasons = ("missing", "unexpected", "skipped: wrong shape")
        lists = (self.missing, self.unexpected, self.mismatched)
        for names, reason in zip(lists, reasons, strict=True):
            if names:
                more = f" and {len(names) - 3} more" if len(names) > 3 else ""
                parts.append(f"{len(names)} {reason} ({', '.join(names[:3])}{more})")
        return "; ".join(parts)


def load_weights(model: nn.Module, path: str | Path) -> LoadedWeights:
    """Load weights from a safetensors file or a checkpoint that holds tensors only.

    State dicts nested under ``state_dict``, ``model`` and the like are found, and prefixes of
    wrappers (``module.``, ``_orig_mod.``) are removed. Buffers of profilers are skipped, and the
    BatchNorms in the checkpoints of GhostNetV3's authors are renamed as in timm. The network
    remembers the file, so that an artifact made from it does (`OriginalWeights`).

    Raises:
        GhostifyError: if the file cannot be read, holds pickled code, or fits less than half of the
            network's tensors.
        OSError: if there is no such file.
    """
    path = Path(path)
    check_not_lazy(model)
    own = model.state_dict()
    state = _rename_norms(_remove_prefixes(_unnest(read_tensors(path), path), own), own)
    fitting = {n: t for n, t in state.items() if n in own and own[n].shape == t.shape}
    if 2 * len(fitting) < len(own):
        raise GhostifyError(
            f"{path} has {len(fitting)} of the {len(own)} tensors of {type(model).__name__}: is it "
            "the checkpoint of another network?"
        )
    model.load_state_dict(fitting, strict=False)
    attach_origin(model, file=path)
    return LoadedWeights(
        loaded=tuple(fitting),
        missing=tuple(n for n in own if n not in state),
        unexpected=tuple(n for n in state if n not in own),
        mismatched=tuple(n for n in state if n in own and n not in fitting),
    )


def read_tensors(path: Path) -> Any:
    """Read a file of tensors, .safetensors or of ``torch.save``. No pickled code is run."""
    try:
        if path.suffix.lower() == ".safetensors":
            return load_file(path)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Detected pickle protocol", UserWarning)
            return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise
    except (pickle.UnpicklingError, KeyError) as error:  # KeyError for an unknown byte
        if _is_pickled(path) and "Unsupported" in str(error):
            raise GhostifyError(
                f"{path} is damaged, or holds pickled objects, and loading it could run code: "
                "save the tensors alone, or as safetensors"
            ) from error
        raise GhostifyError(f"{path} cannot be read: it is not a file of tensors") from error
    except (OSError, RuntimeError, EOFError, ValueError, SafetensorError) as error:
        raise GhostifyError(f"{path} cannot be read: {first_line(error)}") from error


def _is_pickled(path: Path) -> bool:
    """Whether a file begins as those of ``torch.save`` and ``pickle`` do."""
    with path.open("rb") as file:
        return file.read(2).startswith((b"PK", b"\x80"))


def _unnest(content: Any, path: Path) -> dict[str, Tensor]:
    while isinstance(content, Mapping):
        name = next((n for n in _NESTED_UNDER if isinstance(content.get(n), Mapping)), None)
        if name is None:
            break
        content = content[name]
    named = content if isinstance(content, Mapping) else {}
    tensors = {
        name: tensor
        for name, tensor in named.items()
        if isinstance(tensor, Tensor) and name.rpartition(".")[2] not in _PROFILER_BUFFERS
    }
    if not tensors:
        raise GhostifyError(f"{path} holds no tensors by name")
    return tensors


def _rename_norms(state: dict[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename ``.bn.`` to ``.bn1.`` where the network has that."""

    def rename(name: str) -> str:
        other = name.replace(".bn.", ".bn1.")
        return other if name not in own and other in own else name

    return {rename(name): tensor for name, tensor in state.items()}


def _remove_prefixes(state: dict[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Remove prefixes that all names have, as long as no name is the network's."""
    while own.keys().isdisjoint(state):
        prefix = next((p for p in _WRAPPER_PREFIXES if all(n.startswith(p) for n in state)), None)
        if prefix is None:
            break
        state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    return state
