"""Dataclasses to and from JSON, by their annotations."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import lru_cache
from pathlib import Path
from reprlib import Repr
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    ClassVar,
    Literal,
    Self,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from ghostify.types.errors import GhostifyError, first_line, near
from ghostify.types.regular_file import read_regular

_REPR = Repr()
_REPR.maxstring = 100  # as long as the names of layers


class Serializable:
    """Mixin for dataclasses that are written to files.

    The first entry of a document is its ``format``, if the class has one (``_format``).
    """

    __slots__ = ()
    _format: ClassVar[str] = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON types."""
        data = _encode_fields(self)
        return {"format": self._format, **data} if self._format else data

    def to_json(self) -> str:
        """Return JSON text with one line per entry, to be read and edited."""
        return readable_json(self.to_dict(), depth=2) + "\n"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write `to_json` to a file, atomically.

        Raises:
            OSError: if it cannot be written.
        """
        target = Path(path).resolve()
        temporary = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            with temporary.open("w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(self.to_json())
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from error
        finally:
            temporary.unlink(missing_ok=True)

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Build an instance from what `to_dict` returned.

        Raises:
            GhostifyError: naming the path of the first wrong entry.
        """
        try:
            return cls._decode(data, "")
        except GhostifyError as error:
            noun = re.sub("(?<=[a-z])(?=[A-Z])", " ", cls.__name__.strip("_")).lower()
            raise GhostifyError(f"invalid {noun}: {error}") from error

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Build an instance from what `to_json` returned.

        Raises:
            GhostifyError: naming the line of a syntax error or the path of the first wrong entry.
        """
        return cls.from_dict(parse_json(text))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a file that `save` wrote, perhaps edited.

        Raises:
            GhostifyError: naming the file, and what is wrong in it.
            OSError: if it cannot be read.
        """
        try:
            return cls.from_json(read_regular(path))
        except GhostifyError as error:
            raise GhostifyError(f"{os.fspath(path)}: {error}") from error

    @classmethod
    def _decode(cls, data: Any, path: str) -> Self:
        if cls._format:
            found = data.get("format") if isinstance(data, Mapping) else None
            if found != cls._format:
                raise GhostifyError(f"`{joined(path, 'format')}` must be {cls._format!r}")
            data = {key: value for key, value in data.items() if key != "format"}
        return _decode_fields(cls, data, path)  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class Like:
    """Marks entries that are checked as if they were of a type, and kept as JSON types."""

    kind: Any


def encode(value: Any) -> Any:
    """Convert dataclasses, tuples and mappings to JSON types.

    A mapping with dataclasses as keys becomes a list of records: the fields of the key, and
    ``value``.
    """
    if isinstance(value, Serializable):
        return value.to_dict()
    if is_dataclass(value):
        return _encode_fields(value)
    if isinstance(value, Mapping):
        if any(map(is_dataclass, value)):
            return [{**encode(key), "value": encode(entry)} for key, entry in value.items()]
        return {key: encode(entry) for key, entry in value.items()}
    return [encode(entry) for entry in value] if isinstance(value, (list, tuple)) else value


def decode(kind: Any, data: Any, path: str = "") -> Any:
    """Convert JSON types to a type, the inverse of `encode`.

    Integers have 64 bits; a ``float`` may be an integer, or not finite. A `GhostifyError` names the
    path and value of the first wrong entry and the rule. Unknown keys come with near matches.

    An `Annotated` type may have constraints (`types.constraints`), or a `Like`.
    """
    if kind is Any or (is_dataclass(kind) and type(data) is kind):
        return data
    if is_dataclass(kind):
        own = getattr(kind, "_decode", None)
        return own(data, path) if own else _decode_fields(kind, data, path)
    if is_typeddict(kind):
        return _decode_entries(kind, kind.__required_keys__, data, path)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _decode_constrained(arguments, data, path)
    if origin in (Union, UnionType):
        return _decode_union(arguments, data, path)
    if origin is tuple:
        return _decode_tuple(arguments, data, path)
    if origin is Literal:
        fits = isinstance(data, str) and data in arguments
        return _checked(fits, path, data, f"one of {', '.join(map(repr, arguments))}")
    if origin is not None:
        return _decode_mapping(arguments[0], arguments[1], data, path)
    matches, rule = _PLAIN[kind]
    return _checked(matches(data), path, data, rule)


def _encode_fields(value: Any) -> dict[str, Any]:
    return {field.name: encode(getattr(value, field.name)) for field in fields(value)}


def _decode_fields(kind: Any, data: Any, path: str) -> Any:
    required = [f.name for f in fields(kind) if f.default is f.default_factory is MISSING]
    values = _decode_entries(kind, required, data, path)
    try:
        return kind(**values)
    except GhostifyError as error:
        raise GhostifyError(f"{path}: {error}" if path else str(error)) from error


def _decode_entries(kind: Any, required: Collection[str], data: Any, path: str) -> dict[str, Any]:
    _checked(isinstance(data, Mapping), path, data, "an object")
    hints = _hints(kind)
    prefix = f"{path}: " if path else ""
    for key in data:
        if key not in hints:
            raise GhostifyError(f"{prefix}unknown key {_REPR.repr(key)}{near(str(key), hints)}")
    for name in hints:
        if name in required and name not in data:
            raise GhostifyError(f"{prefix}{name!r} is missing")
    return {key: decode(hints[key], value, joined(path, key)) for key, value in data.items()}


def _decode_constrained(arguments: tuple[Any, ...], data: Any, path: str) -> Any:
    kind, *notes = arguments
    value = decode(kind, data, path)
    for note in notes:
        if isinstance(note, Like):
            decode(note.kind, data, path)
        else:
            _checked(note.allows(value), path, data, note.rule)
    return value


def _decode_union(arguments: tuple[Any, ...], data: Any, path: str) -> Any:
    if data is None and NoneType in arguments:
        return None
    *others, last = (kind for kind in arguments if kind is not NoneType)
    for kind in others:
        with suppress(GhostifyError):
            return decode(kind, data, path)
    return decode(last, data, path)


def _decode_tuple(kinds: tuple[Any, ...], data: Any, path: str) -> tuple[Any, ...]:
    _checked(isinstance(data, (list, tuple)), path, data, "a list")
    if kinds[-1] is ...:
        kinds = kinds[:1] * len(data)
    _checked(len(data) == len(kinds), path, data, f"a list of {len(kinds)} entries")
    return tuple(decode(kind, data[n], f"{path}[{n}]") for n, kind in enumerate(kinds))


def _decode_mapping(key_kind: Any, kind: Any, data: Any, path: str) -> dict[Any, Any]:
    if is_dataclass(key_kind) and data != {}:  # `encode` cannot know the keys of an empty mapping
        return _decode_records(key_kind, kind, data, path)
    _checked(isinstance(data, Mapping), path, data, "an object")
    return {
        decode(key_kind, key, path): decode(kind, entry, f"{path}[{_REPR.repr(key)}]")
        for key, entry in data.items()
    }


def _decode_records(key_kind: Any, kind: Any, data: Any, path: str) -> dict[Any, Any]:
    _checked(isinstance(data, list), path, data, "a list of records")
    found: dict[Any, Any] = {}
    for place, record in enumerate(data):
        here = f"{path}[{place}]"
        fits = isinstance(record, Mapping) and "value" in record
        _checked(fits, here, record, "an object with 'value'")
        names = {name: entry for name, entry in record.items() if name != "value"}
        key = decode(key_kind, names, here)
        if key in found:
            raise GhostifyError(f"{here}: {key} appears twice")
        found[key] = decode(kind, record["value"], f"{here}.value")
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
    """The types of the fields; a record with slots has no other entries."""
    hints = get_type_hints(kind, include_extras=True)
    return {name: hint for name, hint in hints.items() if get_origin(hint) is not ClassVar}


def _checked(fits: bool, path: str, data: Any, rule: str) -> Any:
    if fits:
        return data
    where = f"`{path}` (={_REPR.repr(data)})" if path else _REPR.repr(data)
    raise GhostifyError(f"{where} must be {rule}")


def joined(path: str, name: str) -> str:
    """Return the path of an entry of the object at ``path``."""
    return f"{path}.{name}" if path else name


def readable_json(data: Any, depth: int, indent: str = "") -> str:
    """Return JSON with one line per entry of the outer ``depth`` levels.

    Lone surrogates stay: write them as backslash escapes.
    """
    if depth == 0 or not isinstance(data, dict) or not data:
        return json.dumps(data, ensure_ascii=False)
    inner = indent + "  "
    entries = (
        f"{inner}{json.dumps(key, ensure_ascii=False)}: {readable_json(value, depth - 1, inner)}"
        for key, value in data.items()
    )
    return "{\n" + ",\n".join(entries) + f"\n{indent}}}"


def parse_json(text: str | bytes) -> Any:
    """Parse JSON in which no key appears twice, with or without a byte-order mark.

    Lone surrogates stand for the bytes of file names that are not UTF-8 (PEP 383).
    """
    if isinstance(text, str):
        text = text.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}")
    try:
        data = json.loads(text, object_pairs_hook=_unique_keys)
    except UnicodeDecodeError as error:
        raise GhostifyError("not JSON, but a binary file") from error
    except (ValueError, RecursionError) as error:
        raise GhostifyError(f"not JSON: {first_line(error)}") from error
    return data


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries: dict[str, Any] = {}
    for key, value in pairs:
        if key in entries:
            raise ValueError(f"key {key!r} appears twice")
        entries[key] = value
    return entries
