"""Caches outside a model that its forward fills: class attributes, globals, ``lru_cache``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import _lru_cache_wrapper
from types import FunctionType
from typing import Any

from torch import Tensor, fx, nn
from torch.utils._pytree import tree_leaves


@contextmanager
def evict_meta_tensors(model: nn.Module) -> Iterator[None]:
    """Remove meta tensors and fx proxies that the block has left in caches of the model's code.

    The original would find them there, though only a copy has run. Searches the classes of the
    modules, the globals of their methods and the globals of functions imported there, but not
    objects that these hold. An ``lru_cache`` with new entries is cleared.
    """
    classes = {kind: vars(kind) for module in model.modules() for kind in type(module).__mro__}
    namespaces = _globals_of_functions(classes.values())
    namespaces += _globals_of_functions(namespaces)
    values = _values([*classes.values(), *namespaces])
    dicts = [*namespaces, *(value for value in values if type(value) is dict)]
    before = [(entries, entries.copy()) for entries in dicts]
    functions = [value for value in values if isinstance(value, _lru_cache_wrapper)]
    misses = [function.cache_info().misses for function in functions]
    try:
        yield
    finally:
        for entries, old in before:
            _restore(entries, old)
        for function, number in zip(functions, misses, strict=True):
            if function.cache_info().misses != number:
                function.cache_clear()


def _globals_of_functions(namespaces: Iterable[Any]) -> list[dict[str, Any]]:
    functions = [value for value in _values(namespaces) if isinstance(value, FunctionType)]
    found = {id(f.__globals__): f.__globals__ for f in functions}
    return [g for g in found.values() if not str(g.get("__name__")).startswith("torch.")]


def _values(namespaces: Iterable[Any]) -> list[Any]:
    values = [value for names in namespaces for value in list(names.values())]
    return [value.__func__ if isinstance(value, staticmethod) else value for value in values]


def _restore(entries: dict[Any, Any], old: dict[Any, Any]) -> None:
    for key, value in list(entries.items()):
        if value is not old.get(key) and _holds_no_values(value):
            if key in old:
                entries[key] = old[key]
            else:
                del entries[key]


def _holds_no_values(value: Any) -> bool:
    return any(
        isinstance(leaf, fx.Proxy) or (isinstance(leaf, Tensor) and leaf.is_meta)
        for leaf in tree_leaves(value)
    )
