"""Fields of settings: default, range or choices, and help panel in one place."""

from __future__ import annotations

from dataclasses import Field, field, fields
from operator import ge, gt, le, lt
from typing import Any, get_type_hints

from ghostify.types.errors import GhostifyError
from ghostify.types.ghost_spec import is_finite

_BOUNDS = {"above": gt, "at_least": ge, "below": lt, "at_most": le}


def setting(
    default: Any,
    panel: str,
    *,
    choices: tuple[str, ...] = (),
    opposite: str = "",
    **bounds: float,
) -> Any:
    """A field of a settings dataclass, for `check` and for the command line.

    Args:
        default: its default.
        panel: its group in the command line's help.
        choices: the allowed strings.
        opposite: name of the option for False. Default: ``no_`` and the field's name.
        bounds: the allowed numbers: ``above``, ``at_least``, ``below``, ``at_most``.
    """
    metadata = {"panel": panel, "choices": choices, "opposite": opposite, "bounds": bounds}
    return field(default=default, metadata=metadata)


def check(settings: Any) -> None:
    """Check type and range of every field; None is allowed where it is the default.

    Raises:
        GhostifyError: naming the field, its value and the rule.
    """
    hints = get_type_hints(type(settings))
    for entry in fields(settings):
        value = getattr(settings, entry.name)
        if value is None and entry.default is None:
            continue
        if not _is_allowed(value, hints[entry.name], entry):
            raise GhostifyError(f"`{entry.name}` (={value!r}) must be {_rule(entry, hints)}")


def _is_allowed(value: Any, hint: Any, entry: Field[Any]) -> bool:
    if entry.metadata["choices"]:
        return value in entry.metadata["choices"]
    if hint is bool or isinstance(value, bool):
        return hint is bool and isinstance(value, bool)
    number = isinstance(value, int) or (isinstance(value, float) and hint not in _INTEGERS)
    bounds = entry.metadata["bounds"].items()
    return number and is_finite(value) and all(_BOUNDS[name](value, end) for name, end in bounds)


def _rule(entry: Field[Any], hints: dict[str, Any]) -> str:
    if entry.metadata["choices"]:
        return f"one of {', '.join(entry.metadata['choices'])}"
    if hints[entry.name] is bool:
        return "True or False"
    bounds = entry.metadata["bounds"].items()
    kind = "an integer, " if hints[entry.name] in _INTEGERS else ""
    return kind + " and ".join(f"{name.replace('_', ' ')} {end:g}" for name, end in bounds)


_INTEGERS = (int, int | None)
