"""Shell completion of names, without importing torch where the names are fixed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TypedDict

from platformdirs import user_cache_path

from ghostify.io.atomic import RECIPE, write_text
from ghostify.types import GhostifyError
from ghostify.types.serialization import decode, parse_json

Complete = Callable[[str], list[str]]

RUNTIMES = (
    "eager",
    "compile",
    "onnxruntime",
    "openvino",
    "executorch",
    "onnxruntime-int8",
    "openvino-int8",
)
FORMATS = ("onnx", "openvino", "torch-export", "executorch")
INITIALIZERS = ("random", "weights", "calibrated")
DATA_SETS = ("cifar10", "cifar100", "mnist5k", "digits")


def fixed(*names: str) -> Complete:
    """Return a completion of fixed names."""
    return lambda incomplete: [name for name in names if name.startswith(incomplete)]


def listed(*names: str) -> Complete:
    """Return a completion of comma-separated names."""

    def complete(incomplete: str) -> list[str]:
        before, comma, last = incomplete.rpartition(",")
        left = set(names) - set(before.split(","))
        return [f"{before}{comma}{n}" for n in names if n in left and n.startswith(last)]

    return complete


def sources(incomplete: str) -> list[str]:
    """Complete data sets, and files that a shell would complete if there were no data sets."""
    return _with_paths(fixed(*DATA_SETS)(incomplete), incomplete)


def models(incomplete: str) -> list[str]:
    """Complete names of networks, and files."""
    return _with_paths(fixed(*_model_names())(incomplete), incomplete)


def artifacts(incomplete: str) -> list[str]:
    """Complete folders of artifacts; none leaves it to the shell, which completes all folders."""
    return [path for path in _paths(incomplete) if Path(path, RECIPE).is_file()]


def models_or_artifacts(incomplete: str) -> list[str]:
    """Complete folders of artifacts, and names of networks."""
    return [*artifacts(incomplete), *(fixed(*_model_names())(incomplete))]


def _with_paths(names: list[str], incomplete: str) -> list[str]:
    return names and [*names, *(_paths(incomplete) if incomplete else ())]


def _paths(incomplete: str) -> list[str]:
    folder, slash, beginning = incomplete.rpartition("/")
    with suppress(OSError):
        names = sorted(path.name for path in Path(folder + slash).iterdir())
        return [f"{folder}{slash}{name}" for name in names if name.startswith(beginning)]
    return []


class _Known(TypedDict):
    versions: dict[str, str | None]
    names: tuple[str, ...]


def _model_names() -> Iterable[str]:
    """Return the names of all networks, which a file remembers while no library changes."""
    file = user_cache_path("ghostify") / "models.json"
    versions = {name: _version(name) for name in ("ghostify", "torchvision", "timm")}
    with suppress(OSError, GhostifyError):
        known: _Known = decode(_Known, parse_json(file.read_bytes()))
        if known["versions"] == versions:
            return list(known["names"])
    from ghostify.models import names

    found = names()
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text(file, json.dumps({"versions": versions, "names": found}))
    return found


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
