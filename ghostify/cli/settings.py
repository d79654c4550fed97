"""Command-line options from the fields of a settings dataclass."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import StrEnum
from functools import wraps
from inspect import Parameter, getdoc, signature
from typing import Annotated, Any, get_origin, get_type_hints

import typer

from ghostify import GhostifyError

_Choice: Any = StrEnum


def expand_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Replace each parameter that is a dataclass of settings by one option per field.

    The option has the field's name, default and help panel, and its documentation in the
    ``Attributes`` section of the class, unless the field's annotation declares an option.
    """
    plain = signature(command, eval_str=True)
    settings: dict[str, Any] = {
        name: parameter.annotation
        for name, parameter in plain.parameters.items()
        if is_dataclass(parameter.annotation)
    }

    @wraps(command)
    def expanded(**values: Any) -> None:
        names = set(values)
        try:
            for name, cls in settings.items():
                values[name] = cls(**{f.name: _value(values.pop(f.name)) for f in fields(cls)})
            command(**values)
        except GhostifyError as error:
            raise GhostifyError(_with_flags(str(error), names)) from error

    parameters = [
        option
        for name, parameter in plain.parameters.items()
        for option in (_options(settings[name]) if name in settings else [parameter])
    ]
    parameters = [option.replace(kind=Parameter.KEYWORD_ONLY) for option in parameters]
    expanded.__signature__ = plain.replace(parameters=parameters)  # type: ignore[attr-defined]
    expanded.__annotations__ = {option.name: option.annotation for option in parameters}
    return expanded


def _options(cls: Any) -> list[Parameter]:
    hints, documentation = get_type_hints(cls, include_extras=True), _documentation(cls)
    return [
        _declared(f, hints[f.name])
        if get_origin(hints[f.name]) is Annotated
        else _option(f, hints[f.name], documentation[f.name])
        for f in fields(cls)
    ]


def _declared(entry: Field[Any], hint: Any) -> Parameter:
    """Return the option that a field's annotation declares."""
    default = Parameter.empty if entry.default is MISSING else entry.default
    return Parameter(entry.name, Parameter.KEYWORD_ONLY, default=default, annotation=hint)


def _option(entry: Field[Any], hint: Any, text: str) -> Parameter:
    default, flag = entry.default, _flag(entry.name)
    if choices := entry.metadata["choices"]:
        hint = _Choice(entry.name, {choice: choice for choice in choices})
        default = hint(default)
    if default is True:
        flag += f"/{_flag(entry.metadata['opposite'] or f'no_{entry.name}')}"
    option = typer.Option(flag, help=text, rich_help_panel=entry.metadata["panel"])
    return Parameter(
        entry.name, Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[hint, option]
    )


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _with_flags(message: str, names: Collection[str]) -> str:
    """Write the library's keyword arguments, `` `lr` `` or `` `lr=0.1` ``, as options."""

    def flag(match: re.Match[str]) -> str:
        return _flag(match[1]) if match[1] in names else match[0]

    return re.sub(r"`(\w+)(?:=[^`]*)?`", flag, message)


def _value(value: Any) -> Any:
    return value.value if isinstance(value, StrEnum) else value


def _documentation(cls: type) -> dict[str, str]:
    """Return the text of each entry of the ``Attributes`` section."""
    section = (getdoc(cls) or "").partition("Attributes:\n")[2].partition("\n\n")[0]
    entries = re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", section, re.MULTILINE)
    return {name: " ".join(text.replace("``", "").split()) for name, text in entries}
