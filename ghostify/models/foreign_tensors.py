"""Read files of tensors that other programs wrote. No code in them is run."""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, load_file
from torch import Tensor
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

from ghostify.types import GhostifyError
from ghostify.types.errors import first_line
from ghostify.types.regular_file import check_regular

_ZIP = b"PK"

_OTHER_FILES = {
    b"version https://git-lfs": "a Git LFS pointer: run git lfs pull",
    b"<": "a web page or XML, not weights: download the file itself",
    b"\x93NUMPY": "an array of NumPy",
    b"\x89HDF": "an HDF5 file",
    b"GGUF": "a GGUF file",
}
"""What files are that users take for weights, by their first bytes."""

_OTHER_ARCHIVES = {
    "constants.pkl": "a TorchScript archive",
    "archive_format": "an archive of torch.export",
    ".npy": "an archive of NumPy",
}
"""What zip archives are that users take for weights, by the end of a member's name."""

_DEEPEST = 100
"""Nests within nests in which tensors are looked for."""

_SAVE = "save the network's state_dict instead"
_IN_PLACE = ("_parameters", "_buffers", "_modules")
"""Attributes of a module whose entries are named as if they were its own."""


class StandIn:
    """Stands for a pickled object of any class, and holds its attributes.

    It accepts all that unpickling does to an object, and does nothing else.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> StandIn:
        return super().__new__(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, dict):
            self.__dict__.update((key, value) for key, value in state.items() if type(key) is str)


def read_tensors(path: Path) -> Any:
    """Read a file of safetensors or of ``torch.save``, whatever its suffix.

    Pickled objects of other classes than tensors become `StandIn`, so that no code is run.

    Raises:
        GhostifyError: if it is neither, is damaged, or is not a regular file.
        OSError: if there is no such file.
    """
    check_regular(path)
    with path.open("rb") as file:
        start = file.read(64)
    kind = next((kind for magic, kind in _OTHER_FILES.items() if start.startswith(magic)), None)
    if start.startswith(_ZIP):
        kind = _other_archive(path)
    if kind is not None:
        raise GhostifyError(f"{path} cannot be read: it is {kind}")
    try:
        if start[8:9] == b"{":
            return load_safetensors(path)
        return _load_pickled(path, zipped=start.startswith(_ZIP))
    except Exception as error:  # damaged files raise exceptions of all kinds
        raise GhostifyError(f"{path} cannot be read: {_reason(error)}") from error


def load_safetensors(path: Path) -> dict[str, Tensor]:
    """Load a file of safetensors, whose library maps only files with names in UTF-8."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return load(path.read_bytes())
    return load_file(path)


def _other_archive(path: Path) -> str | None:
    """Return what a zip archive is, unless it is as ``torch.save`` wrote it."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            for end, kind in _OTHER_ARCHIVES.items():
                if any(member.filename.endswith(end) for member in members):
                    return f"{kind}: {_SAVE}"
            if sum(member.file_size for member in members) > path.stat().st_size:
                return f"a compressed archive, not one of torch.save: {_SAVE}"
            has_checksums = any(member.CRC for member in members)
            changed = archive.testzip() if has_checksums else None
    except Exception as error:  # of all kinds, in damaged archives
        return f"a damaged archive ({first_line(error)})"
    return changed and f"a damaged archive (the checksum of {changed} does not match)"


def _load_pickled(path: Path, *, zipped: bool) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        names = get_unsafe_globals_in_checkpoint(path) if zipped else []
        with safe_globals([(_stand_in(name), name) for name in names]):
            return torch.load(path, map_location="cpu", weights_only=True)


def _stand_in(name: str) -> Callable[..., Any]:
    """Return what takes the place of a pickled class."""
    made = {"collections.defaultdict": dict, "collections.deque": list}.get(name)
    if made is not None:
        return lambda *_: made()
    return type(name.rpartition(".")[2], (StandIn,), {})


def _reason(error: Exception) -> str:
    """Return why a file cannot be read, without PyTorch's advice to trust it."""
    text = str(error)
    unsafe = re.search(r"GLOBAL (\S+)|got <class '(\S+)'>|reduce for unrecognized", text)
    if unsafe:
        name = (unsafe[1] or unsafe[2] or "function call").removeprefix(f"{__name__}.")
        return f"it holds a pickled {name}, and loading it could run code: {_SAVE}"
    if "Unsupported operand" in text:
        return "it is not a file of tensors, damaged, or pickled with a protocol above 2"
    if isinstance(error, OSError | SafetensorError):
        return first_line(error)
    return f"it is not a file of tensors, or damaged ({type(error).__name__})"


def named_tensors(content: Any) -> dict[str, Tensor]:
    """Return all tensors in nested mappings and pickled objects, by dotted names.

    Those of a pickled module are named as in its state dict.
    """
    return dict(_walk(content, (), set()))


def entries_of(content: Any) -> dict[str, Any]:
    """Return what a mapping or a pickled object holds, by name."""
    named = vars(content) if isinstance(content, StandIn) else content
    if not isinstance(named, Mapping):
        return {}
    found = {key: value for key, value in named.items() if isinstance(key, str)}
    if isinstance(content, StandIn):
        for inner in _IN_PLACE:
            found |= entries_of(found.pop(inner, None))
    return found


def _walk(content: Any, names: tuple[str, ...], seen: set[int]) -> Iterator[tuple[str, Tensor]]:
    if isinstance(content, Tensor):
        yield ".".join(names), content
    elif id(content) not in seen and len(names) < _DEEPEST:
        seen.add(id(content))  # nests may hold each other
        for key, value in entries_of(content).items():
            yield from _walk(value, (*names, key), seen)


def check_dense(tensor: Tensor, name: str) -> None:
    """Check that a tensor has its values in memory, one number after the other.

    Raises:
        GhostifyError: if it is sparse, quantized, nested or without values.
    """
    kinds = {
        "sparse": tensor.layout is not torch.strided,
        "quantized": tensor.is_quantized,
        "nested": tensor.is_nested,
        "without values": tensor.is_meta,
    }
    kind = next((kind for kind, is_so in kinds.items() if is_so), None)
    if kind is not None:
        raise GhostifyError(f"{name} is {kind}: save it as a dense tensor")
