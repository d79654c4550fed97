"""Caches outside a model, in its classes and among the globals of their code."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import _lru_cache_wrapper
from types import FunctionType
from typing import Any

from torch import Tensor, fx, nn
from torch.utils._pytree import tree_leaves


@contextmanager
def preserve_caches(model: nn.Module) -> Iterator[None]:
    """Take tensors without values out again of caches that ``model`` has filled with them.

    A forward may keep a grid in a global, in a dict or in an ``lru_cache``, where the original
    would find it though a copy has run. Searched are the classes of the modules, the files of
    their methods, and those of the functions imported there; not what these hold in objects.
    """
    classes = {kind: vars(kind) for module in model.modules() for kind in type(module).__mro__}
    files = _files(classes.values())
    files += _files(files)
    values = _values([*classes.values(), *files])
    dicts = [*files, *(value for value in values if type(value) is dict)]
    before = [(entries, entries.copy()) for entries in dicts]
    functions = [value for value in values if isinstance(value, _lru_cache_wrapper)]
    misses = [function.cache_info().misses for function in functions]
    try:
        yield
    finally:
        for entries, old in before:
            _take_back(entries, old)
        for function, number in zip(functions, misses, strict=True):
            if function.cache_info().misses != number:
                function.cache_clear()


def _files(namespaces: Iterable[Any]) -> list[dict[str, Any]]:
    """The globals of functions in these namespaces, but for torch's own."""
    functions = [value for value in _values(namespaces) if isinstance(value, FunctionType)]
    found = {id(f.__globals__): f.__globals__ for f in functions}
    return [g for g in found.values() if not str(g.get("__name__")).startswith("torch.")]


def _values(namespaces: Iterable[Any]) -> list[Any]:
    values = [value for names in namespaces for value in list(names.values())]
    return [value.__func__ if isinstance(value, staticmethod) else value for value in values]


def _take_back(entries: dict[Any, Any], old: dict[Any, Any]) -> None:
    for key, value in list(entries.items()):
        if value is not old.get(key) and _lacks_values(value):
            if key in old:
                entries[key] = old[key]
            else:
                del entries[key]


def _lacks_values(value: Any) -> bool:
    return any(
        isinstance(leaf, fx.Proxy) or (isinstance(leaf, Tensor) and leaf.is_meta)
        for leaf in tree_leaves(value)
    )
