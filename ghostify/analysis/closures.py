"""Functions that hold modules of a model, such as a patched forward, and their copies."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from functools import partial
from types import CellType, FunctionType, MethodType
from typing import Any

from torch import nn
from torch.utils._pytree import tree_leaves

_REGISTERED = ("_parameters", "_buffers", "_modules")


class BoundFunctions:
    """Copies of the functions that hold modules or tensors of a model, for a copy of the model.

    ``copy.deepcopy`` leaves functions as they are: those of a copy would go on to run modules of
    the original. Functions are found in attributes and hooks of modules; what they hold is in
    closures, defaults, and the methods and partials there. Globals and weak references are not
    followed.

    Attributes:
        copies: by id of a function, its copy.
    """

    def __init__(self, model: nn.Module) -> None:
        self._own = {id(m) for m in (*model.modules(), *model.parameters(), *model.buffers())}
        self._cells: dict[int, tuple[CellType, CellType]] = {}
        found = [f for f in _reached(_attributes(model)) if isinstance(f, FunctionType)]
        self._pairs = [(f, self._copy(f)) for f in found if self._holds_own(_contents(f))]
        self.copies = {id(function): new for function, new in self._pairs}

    def bind(self, memo: dict[int, Any]) -> None:
        """Let the copies hold what ``copy.deepcopy`` has made of their contents."""
        for cell, new in self._cells.values():
            new.cell_contents = copy.deepcopy(cell.cell_contents, memo)
        for function, bound in self._pairs:
            if self._holds_own([function.__defaults__, function.__kwdefaults__]):
                bound.__defaults__ = copy.deepcopy(function.__defaults__, memo)
                bound.__kwdefaults__ = copy.deepcopy(function.__kwdefaults__, memo)

    def _holds_own(self, values: Iterable[Any]) -> bool:
        return any(id(value) in self._own for value in _reached(values))

    def _copy(self, function: FunctionType) -> FunctionType:
        """Copy a function, with new cells, still empty, for what is the model's."""
        cells = tuple(map(self._cell, function.__closure__ or ()))
        new = FunctionType(
            function.__code__, function.__globals__, function.__name__, function.__defaults__, cells
        )
        new.__kwdefaults__ = function.__kwdefaults__
        new.__dict__.update(vars(function))
        return new

    def _cell(self, cell: CellType) -> CellType:
        if id(cell) not in self._cells and self._holds_own(_content(cell)):
            self._cells[id(cell)] = cell, CellType()
        return self._cells.get(id(cell), (cell, cell))[1]


def _attributes(model: nn.Module) -> list[Any]:
    """Return the attributes and hooks of all modules."""
    return [
        value
        for module in model.modules()
        for name, value in vars(module).items()
        if name not in _REGISTERED and (callable(value) or isinstance(value, (dict, list, tuple)))
    ]


def _reached(values: Iterable[Any], seen: set[int] | None = None) -> Iterator[Any]:
    """Yield the leaves of containers, and what functions, methods and partials among them hold."""
    seen = set() if seen is None else seen
    for leaf in tree_leaves(list(values)):
        if id(leaf) not in seen:
            seen.add(id(leaf))
            yield leaf
            yield from _reached(_contents(leaf), seen)


def _contents(value: Any) -> list[Any]:
    """Return what a function, method or partial holds."""
    if isinstance(value, FunctionType):
        cells = [content for cell in value.__closure__ or () for content in _content(cell)]
        return [cells, value.__defaults__, value.__kwdefaults__]
    if isinstance(value, MethodType):
        return [value.__self__, value.__func__]
    return [value.func, value.args, value.keywords] if isinstance(value, partial) else []


def _content(cell: CellType) -> list[Any]:
    """Return the content of a cell; none while its variable is not set."""
    try:
        return [cell.cell_contents]
    except ValueError:
        return []
