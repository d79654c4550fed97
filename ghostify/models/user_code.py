"""Call functions of the user's code."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from ghostify.types import GhostifyError
from ghostify.types.errors import first_line, near


def call_code(place: str, name: str, arguments: dict[str, Any]) -> Any:
    """Call ``name`` of a module (``package.module``) or a file (``path/to/file.py``)."""
    is_file = place.endswith(".py")
    if is_file and not Path(place).is_file():
        raise GhostifyError(f"no file {place}")
    with _errors(f"cannot import {place}"):
        module = _import_file(Path(place).resolve()) if is_file else _import_module(place)
    function = getattr(module, name, None)
    if not callable(function):
        raise GhostifyError(f"{place} has no function {name!r}{near(name, vars(module))}")
    with _errors(f"{place}:{name} failed"):
        return function(**arguments)


@contextmanager
def _errors(what: str) -> Iterator[None]:
    """Raise GhostifyError where the code fails."""
    try:
        yield
    except Exception as error:
        kind = type(error).__name__
        raise GhostifyError(f"{what}: {kind}: {first_line(error)}") from error


def _import_module(name: str) -> ModuleType:
    sys.path.insert(0, str(Path.cwd()))
    return import_module(name)


def _import_file(path: Path) -> ModuleType:
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
