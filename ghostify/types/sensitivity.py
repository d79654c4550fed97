"""How much each layer's replacement hurts, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from math import isfinite
from typing import Any, ClassVar

from ghostify.types.attachment import Attachment
from ghostify.types.errors import GhostifyError
from ghostify.types.ghost_spec import GhostSpec
from ghostify.types.serialization import construct, parse_json, readable_json

_FORMAT = "ghostify-sensitivity/1"


@dataclass(frozen=True, slots=True)
class Sensitivity(Attachment):
    """The damage of each site's replacement alone, for each Ghost module that was tried.

    A layer that stays does no damage; damages of several layers are taken to add up.

    Attributes:
        damages: damage by Ghost module, by the site's qualified name.
        unit: what a damage is in, such as ``KL (nats)``.
        measured: whether on data; otherwise it is estimated from the weights.
        totals: costs of the whole network by name (``macs``, ``params``), as it was before.

    Raises:
        GhostifyError: if a damage or a total is no finite number, with the name of the layer.
    """

    _attribute: ClassVar[str] = "_ghostify_sensitivity"

    damages: Mapping[str, Mapping[GhostSpec, float]]
    unit: str
    measured: bool
    totals: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.unit, str) or not self.unit.strip():
            raise GhostifyError("'unit' must say what a damage is in")
        if not isinstance(self.measured, bool):
            raise GhostifyError(f"'measured' (={self.measured!r}) must be true or false")
        for cost, total in self.totals.items():
            _check_finite(total, f"totals: {cost}")
        for name, by_ghost in self.damages.items():
            for ghost, damage in by_ghost.items():
                _check_finite(damage, f"{name}: the damage of {ghost}")

    @property
    def candidates(self) -> tuple[GhostSpec, ...]:
        """Every Ghost module that was tried at some site, in the order of appearance."""
        return tuple(dict.fromkeys(g for by_ghost in self.damages.values() for g in by_ghost))

    def damage(self, name: str, ghost: GhostSpec) -> float:
        """The damage that ``ghost`` does at the site of that name.

        Raises:
            GhostifyError: if this was not measured.
        """
        if name not in self.damages:
            raise GhostifyError(f"{name} is not in the sensitivity: measure it again")
        if ghost not in self.damages[name]:
            raise GhostifyError(f"{name}: no damage known of {ghost}: measure it again with it")
        return self.damages[name][ghost]

    def to_dict(self) -> dict[str, Any]:
        """JSON types only."""
        return {
            "format": _FORMAT,
            "unit": self.unit,
            "measured": self.measured,
            "totals": dict(self.totals),
            "layers": {
                name: [asdict(ghost) | {"damage": damage} for ghost, damage in by_ghost.items()]
                for name, by_ghost in self.damages.items()
            },
        }

    def to_json(self) -> str:
        """JSON with one line a layer, made to be read."""
        return readable_json(self.to_dict(), depth=2) + "\n"

    @classmethod
    def from_dict(cls, data: Any) -> Sensitivity:
        """Read what `to_dict` wrote.

        Raises:
            GhostifyError: naming the layer and what is wrong with its entry.
        """
        if not isinstance(data, Mapping) or data.get("format") != _FORMAT:
            raise GhostifyError(f'not a sensitivity: "format" must be "{_FORMAT}"')
        keys = ("unit", "measured", "totals", "layers")
        if set(data) != {"format", *keys}:
            raise GhostifyError(f'not a sensitivity: it holds "format", {_quoted(keys)}, no more')
        unit, measured, totals, layers = (data[key] for key in keys)
        if not isinstance(totals, Mapping) or not isinstance(layers, Mapping):
            raise GhostifyError('not a sensitivity: "totals" and "layers" hold entries by name')
        damages = {name: _damages_from_list(name, entries) for name, entries in layers.items()}
        return cls(damages, unit, measured, totals)

    @classmethod
    def from_json(cls, text: str) -> Sensitivity:
        """Read what `to_json` wrote.

        Raises:
            GhostifyError: with the line of a syntax error, or the layer with a wrong entry.
        """
        return cls.from_dict(parse_json(text, "sensitivity"))


def _damages_from_list(name: str, entries: Any) -> dict[GhostSpec, float]:
    damages: dict[GhostSpec, float] = {}
    try:
        for entry in entries:
            numbers = dict(entry)
            damage = numbers.pop("damage")
            ghost = construct(GhostSpec, numbers)
            if ghost in damages:
                raise GhostifyError(f"{ghost} stands there twice")
            damages[ghost] = damage
    except GhostifyError as error:
        raise GhostifyError(f"{name}: {error}") from error
    except (TypeError, ValueError, KeyError) as error:
        raise GhostifyError(f"{name}: not a layer of a sensitivity ({error})") from error
    return damages


def _check_finite(value: Any, what: str) -> None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not isfinite(value):
        raise GhostifyError(f"{what} (={value!r}) must be a finite number")


def _quoted(names: tuple[str, ...]) -> str:
    return ", ".join(f'"{name}"' for name in names)
