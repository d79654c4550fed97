"""Command-line options from the fields of a settings dataclass."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import MISSING, Field, field, fields, is_dataclass
from enum import StrEnum
from functools import wraps
from inspect import Parameter, cleandoc, signature
from typing import Annotated, Any, get_args, get_type_hints

import typer
from typer.models import OptionInfo

from ghostify import GhostifyError
from ghostify.types.errors import GhostifyWarning

_Choice: Any = StrEnum


def expand_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Replace each parameter that is a dataclass of settings by one option per field.

    An option has the name, default and help panel of its field, and the documentation in the
    ``Attributes`` section of the class; or, for a parameter whose default is an `option`, in the
    ``Options`` section of the command. Errors and warnings of the library name the options.
    """
    plain = signature(command, eval_str=True)
    settings: dict[str, Any] = {
        name: parameter.annotation
        for name, parameter in plain.parameters.items()
        if is_dataclass(parameter.annotation)
    }

    @wraps(command)
    def expanded(**values: Any) -> None:
        with _naming_options(flags):
            for name, cls in settings.items():
                values[name] = cls(**{f.name: _value(values.pop(f.name)) for f in fields(cls)})
            command(**values)

    documentation = _documentation(command.__doc__, "Options")
    parameters = []
    for name, parameter in plain.parameters.items():
        if name in settings:
            parameters += _options(settings[name])
        elif isinstance(parameter.default, Field):
            text = documentation[name]
            parameters.append(_option(name, parameter.default, parameter.annotation, text))
        else:
            parameters.append(parameter)
    flags = {
        p.name
        for p in parameters
        if any(isinstance(part, OptionInfo) for part in get_args(p.annotation))
    }
    parameters = [option.replace(kind=Parameter.KEYWORD_ONLY) for option in parameters]
    expanded.__signature__ = plain.replace(parameters=parameters)  # type: ignore[attr-defined]
    expanded.__annotations__ = {option.name: option.annotation for option in parameters}
    return expanded


def option(default: Any, panel: str | None = None, *short: str, **details: Any) -> Any:
    """A field of a group of options, or an option of one command.

    Args:
        default: its default; ``...`` if it is required.
        panel: its group in the help.
        short: a short flag.
        details: other arguments of ``typer.Option``.
    """
    return field(
        default=MISSING if default is ... else default,
        metadata={"panel": panel, "short": short, "details": details},
    )


def _options(cls: Any) -> list[Parameter]:
    hints = get_type_hints(cls)
    documentation: dict[str, str] = {}
    for base in cls.__mro__[::-1]:
        documentation |= _documentation(base.__doc__, "Attributes")
    return [_option(f.name, f, hints[f.name], documentation.get(f.name, "")) for f in fields(cls)]


def _option(name: str, entry: Field[Any], hint: Any, text: str) -> Parameter:
    settings = {"choices": (), "opposite": "", "short": (), "details": {}, **entry.metadata}
    default = Parameter.empty if entry.default is MISSING else entry.default
    flag = _flag(name)
    if choices := settings["choices"]:
        hint = _Choice(name, {choice: choice for choice in choices})
        default = hint(default)
    if default is True:
        flag += f"/{_flag(settings['opposite'] or f'no_{name}')}"
    declared = typer.Option(
        flag,
        *settings["short"],
        help=text,
        rich_help_panel=settings["panel"],
        **settings["details"],
    )
    return Parameter(
        name, Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[hint, declared]
    )


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


@contextmanager
def _naming_options(names: Collection[str]) -> Iterator[None]:
    """Let errors and warnings of the library name options of these names."""
    show = warnings.showwarning

    def renamed(message: Warning | str, *details: Any, **more: Any) -> None:
        if isinstance(message, GhostifyWarning):
            message = GhostifyWarning(_with_flags(str(message), names))
        show(message, *details, **more)

    warnings.showwarning = renamed
    try:
        yield
    except GhostifyError as error:
        raise GhostifyError(_with_flags(str(error), names)) from error
    finally:
        warnings.showwarning = show


def _with_flags(message: str, names: Collection[str]) -> str:
    """Write the library's keyword arguments, `` `lr` `` or `` `lr=0.1` ``, as options."""

    def flag(match: re.Match[str]) -> str:
        return _flag(match[1]) if match[1] in names else match[0]

    return re.sub(r"`(\w+)(?:=[^`]*)?`", flag, message)


def _value(value: Any) -> Any:
    return value.value if isinstance(value, StrEnum) else value


def _documentation(text: str | None, title: str) -> dict[str, str]:
    """Return the text of each entry of the section of that title in a docstring."""
    section = cleandoc(text or "").partition(f"{title}:\n")[2].partition("\n\n")[0]
    entries = re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", section, re.MULTILINE)
    return {name: " ".join(text.replace("``", "").split()) for name, text in entries}
