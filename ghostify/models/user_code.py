"""Networks of the user's own code."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from ghostify.types import GhostifyError
from ghostify.types.errors import first_line, near


def make_from_code(place: str, factory: str, arguments: dict[str, Any]) -> nn.Module:
    """The network that ``factory`` of a module or a file makes.

    Raises:
        GhostifyError: as `call_code` does, and if it does not make an ``nn.Module``.
    """
    model = call_code(place, factory, arguments)
    if not isinstance(model, nn.Module):
        raise GhostifyError(f"{place}:{factory} made a {type(model).__name__}, not an nn.Module")
    return model


def call_code(place: str, name: str, arguments: dict[str, Any]) -> Any:
    """What ``name`` of a module (``package.module``) or a file (``path/to/file.py``) returns.

    Raises:
        GhostifyError: if the code cannot be imported, lacks the name, or fails.
    """
    module = _import(place)
    make = getattr(module, name, None)
    if not callable(make):
        raise GhostifyError(f"{place} has no {name!r} to call{near(name, vars(module))}")
    try:
        with redirect_stdout(sys.stderr):  # stdout is for results
            return make(**arguments)
    except Exception as error:
        raise GhostifyError(f"{place}:{name} failed: {_named(error)}") from error


def _import(place: str) -> ModuleType:
    try:
        with redirect_stdout(sys.stderr):
            return _import_file(Path(place)) if place.endswith(".py") else _import_module(place)
    except GhostifyError:
        raise
    except Exception as error:
        raise GhostifyError(f"cannot import {place}: {_named(error)}") from error


def _import_module(name: str) -> ModuleType:
    sys.path.insert(0, str(Path.cwd()))
    return import_module(name)


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise GhostifyError(f"no file {path}")
    path = path.resolve()
    name = path.stem
    while name in sys.modules:  # never take the place of a module in use
        name += "_"
    sys.path.insert(0, str(path.parent))
    spec = spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {first_line(error)}"
