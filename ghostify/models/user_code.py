"""Call functions of the user's code."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from ghostify.types import GhostifyError
from ghostify.types.errors import first_line, near


def call_code(place: str, name: str, arguments: dict[str, Any]) -> Any:
    """Call ``name`` of a module (``package.module``) or a file (``path/to/file.py``).

    Raises:
        GhostifyError: if the code cannot be imported, lacks the name, or fails.
    """
    try:
        with redirect_stdout(sys.stderr):  # stdout is for results
            module = _import_file(Path(place)) if place.endswith(".py") else _import_module(place)
    except GhostifyError:
        raise
    except Exception as error:
        raise GhostifyError(f"cannot import {place}: {_describe(error)}") from error
    function = getattr(module, name, None)
    if not callable(function):
        raise GhostifyError(f"{place} has no function {name!r}{near(name, vars(module))}")
    try:
        with redirect_stdout(sys.stderr):
            return function(**arguments)
    except Exception as error:
        raise GhostifyError(f"{place}:{name} failed: {_describe(error)}") from error


def _import_module(name: str) -> ModuleType:
    sys.path.insert(0, str(Path.cwd()))
    return import_module(name)


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise GhostifyError(f"no file {path}")
    path = path.resolve()
    name = path.stem
    while name in sys.modules:  # do not replace a module in use
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


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}: {first_line(error)}"
