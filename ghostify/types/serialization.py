"""Dataclasses to and from JSON, by their annotations."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import lru_cache
from reprlib import Repr
from types import NoneType, UnionType
from typing import (
    Any,
    ClassVar,
    Literal,
    Self,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from ghostify.types.errors import GhostifyError, first_line, near

T = TypeVar("T")

_REPR = Repr()
_REPR.maxstring = 100  # as long as the names of layers


class Serializable:
    """Mixin for dataclasses that are written to files.

    ``_noun`` names the class in error messages. ``_format`` is the first entry of its documents,
    if it is set.
    """

    __slots__ = ()
    _noun: ClassVar[str]
    _format: ClassVar[str] = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON types."""
        data: dict[str, Any] = encode(self)
        return {"format": self._format, **data} if self._format else data

    def to_json(self) -> str:
        """Return JSON text with one line per entry, to be read and edited."""
        return readable_json(self.to_dict(), depth=2) + "\n"

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Build an instance from what `to_dict` returned.

        Raises:
            GhostifyError: naming the path of the first wrong entry.
        """
        return decode(cls, cls._without_format(data), noun=cls._noun)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Build an instance from what `to_json` returned.

        Raises:
            GhostifyError: naming the line of a syntax error or the path of the first wrong entry.
        """
        return cls.from_dict(parse_json(text))

    @classmethod
    def _without_format(cls, data: Any) -> Any:
        if not cls._format:
            return data
        if not isinstance(data, Mapping) or data.get("format") != cls._format:
            raise GhostifyError(f"invalid {cls._noun}: `format` must be {cls._format!r}")
        return {key: value for key, value in data.items() if key != "format"}


def encode(value: Any) -> Any:
    """Convert dataclasses, tuples and mappings to JSON types.

    A mapping with dataclasses as keys becomes a list of records: the fields of the key, and
    ``value``.
    """
    if is_dataclass(value):
        return {field.name: encode(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        if any(map(is_dataclass, value)):
            return [{**encode(key), "value": encode(entry)} for key, entry in value.items()]
        return {key: encode(entry) for key, entry in value.items()}
    return [encode(entry) for entry in value] if isinstance(value, (list, tuple)) else value


def decode(cls: type[T], data: Any, *, noun: str, path: str = "") -> T:
    """Build a dataclass from JSON types, the inverse of `encode`.

    Args:
        cls: a dataclass. Its annotations may be dataclasses, tuples, mappings, unions, literals,
            ``str``, ``bool``, ``int``, ``float`` and ``Any``. Integers have 64 bits; a ``float``
            may be an integer, or not finite.
        data: its fields by name.
        noun: what it is, for the error message.
        path: where ``data`` is in its document.

    Raises:
        GhostifyError: naming the path and value of the first wrong entry and the rule. Unknown
            keys come with near matches.
    """
    try:
        instance: T = _decode(cls, data, path)
        return instance
    except GhostifyError as error:
        raise GhostifyError(f"invalid {noun}: {error}") from error


def _decode(kind: Any, data: Any, path: str) -> Any:
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return data
    if is_dataclass(kind):
        return data if type(data) is kind else _decode_dataclass(kind, data, path)
    if origin in (Union, UnionType):
        return _decode_union(arguments, data, path)
    if origin is Literal:
        if not isinstance(data, str) or data not in arguments:
            raise _wrong(path, data, f"one of {', '.join(map(repr, arguments))}")
        return data
    if origin is tuple:
        return _decode_tuple(arguments, data, path)
    if origin is not None and issubclass(origin, Mapping):
        return _decode_mapping(arguments[0], arguments[1], data, path)
    matches, rule = _PLAIN[kind]
    if not matches(data):
        raise _wrong(path, data, rule)
    return data


def _decode_dataclass(kind: Any, data: Any, path: str) -> Any:
    if not isinstance(data, Mapping):
        raise _wrong(path, data, "an object")
    known, hints = {field.name: field for field in fields(kind)}, _hints(kind)
    prefix = f"{path}: " if path else ""
    for key in data:
        if key not in known:
            raise GhostifyError(f"{prefix}unknown key {key!r}{near(str(key), known)}")
    for name, field in known.items():
        if name not in data and field.default is field.default_factory is MISSING:
            raise GhostifyError(f"{prefix}{name!r} is missing")
    values = {
        key: _decode(hints[key], value, f"{path}.{key}" if path else key)
        for key, value in data.items()
    }
    try:
        return kind(**values)
    except GhostifyError as error:
        raise GhostifyError(f"{prefix}{error}") from error


def _decode_union(options: tuple[Any, ...], data: Any, path: str) -> Any:
    if data is None and NoneType in options:
        return None
    *others, last = (option for option in options if option is not NoneType)
    for option in others:
        try:
            return _decode(option, data, path)
        except GhostifyError:
            pass
    return _decode(last, data, path)


def _decode_tuple(kinds: tuple[Any, ...], data: Any, path: str) -> tuple[Any, ...]:
    if not isinstance(data, (list, tuple)):
        raise _wrong(path, data, "a list")
    if kinds[-1] is ...:
        kinds = kinds[:1] * len(data)
    if len(data) != len(kinds):
        raise _wrong(path, data, f"a list of {len(kinds)} entries")
    pairs = enumerate(zip(kinds, data, strict=True))
    return tuple(_decode(kind, entry, f"{path}[{place}]") for place, (kind, entry) in pairs)


def _decode_mapping(key_kind: Any, kind: Any, data: Any, path: str) -> dict[Any, Any]:
    if is_dataclass(key_kind):
        return _decode_records(key_kind, kind, data, path)
    if not isinstance(data, Mapping):
        raise _wrong(path, data, "an object")
    return {
        _decode(key_kind, key, path): _decode(kind, entry, f"{path}[{_REPR.repr(key)}]")
        for key, entry in data.items()
    }


def _decode_records(key_kind: Any, kind: Any, data: Any, path: str) -> dict[Any, Any]:
    if data == {}:  # `encode` cannot know the keys of an empty mapping
        return {}
    if not isinstance(data, list):
        raise _wrong(path, data, "a list of records")
    found: dict[Any, Any] = {}
    for place, record in enumerate(data):
        here = f"{path}[{place}]"
        if not isinstance(record, Mapping) or "value" not in record:
            raise _wrong(here, record, "an object with 'value'")
        names = {name: entry for name, entry in record.items() if name != "value"}
        key = _decode(key_kind, names, here)
        if key in found:
            raise GhostifyError(f"{here}: {key} appears twice")
        found[key] = _decode(kind, record["value"], f"{here}.value")
    return found


def _is_integer(data: Any) -> bool:
    return isinstance(data, int) and not isinstance(data, bool) and -(2**63) <= data < 2**63


_PLAIN: dict[Any, tuple[Any, str]] = {
    str: (lambda data: isinstance(data, str), "a string"),
    bool: (lambda data: isinstance(data, bool), "true or false"),
    int: (_is_integer, "an integer of 64 bits"),
    float: (lambda data: isinstance(data, float) or _is_integer(data), "a number"),
}


@lru_cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def _wrong(path: str, data: Any, rule: str) -> GhostifyError:
    where = f"`{path}` (={_REPR.repr(data)})" if path else _REPR.repr(data)
    return GhostifyError(f"{where} must be {rule}")


def readable_json(data: Any, depth: int, indent: str = "") -> str:
    """Return JSON with one line per entry of the outer ``depth`` levels."""
    if depth == 0 or not isinstance(data, dict) or not data:
        return json.dumps(data, ensure_ascii=False)
    inner = indent + "  "
    entries = (
        f"{inner}{json.dumps(key, ensure_ascii=False)}: {readable_json(value, depth - 1, inner)}"
        for key, value in data.items()
    )
    return "{\n" + ",\n".join(entries) + f"\n{indent}}}"


def parse_json(text: str | bytes) -> Any:
    """Parse JSON in UTF-8 in which no key appears twice.

    Raises:
        GhostifyError: naming the line of a syntax error, or the key that appears twice.
    """
    try:
        data = json.loads(text, object_pairs_hook=_unique_keys)
        json.dumps(data, ensure_ascii=False).encode()  # refuses lone surrogates
    except GhostifyError:
        raise
    except (ValueError, RecursionError) as error:
        raise GhostifyError(f"not JSON: {first_line(error)}") from error
    return data


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries: dict[str, Any] = {}
    for key, value in pairs:
        if key in entries:
            raise GhostifyError(f"not JSON: key {key!r} appears twice")
        entries[key] = value
    return entries
