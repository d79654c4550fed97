"""Every decision about a network, as plain data that can be saved, edited and replayed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from ghostify.types.attachment import Attachment
from ghostify.types.conv_site import ConvSite, Geometry
from ghostify.types.errors import GhostifyError
from ghostify.types.ghost_spec import GhostSpec
from ghostify.types.serialization import construct, parse_json, readable_json

_FORMAT = "ghostify-plan/1"


@dataclass(frozen=True, slots=True)
class Decision:
    """What happens to one site: it becomes ``ghost``, or it stays because of ``keep``.

    Raises:
        GhostifyError: unless exactly one of the two is given, and if a site that no Ghost module
            can replace is to become one.
    """

    site: ConvSite
    ghost: GhostSpec | None = None
    keep: str | None = None

    def __post_init__(self) -> None:
        if (self.ghost is None) == (self.keep is None):
            raise GhostifyError(f"{self.site.name}: say either 'ghost' or 'keep'")
        if self.ghost is not None and self.site.ineligible is not None:
            raise GhostifyError(f"{self.site.name} cannot be replaced: {self.site.ineligible}")


@dataclass(frozen=True, slots=True)
class Plan(Attachment):
    """One decision for each convolution of a model, in the order of execution."""

    _attribute: ClassVar[str] = "_ghostify_plan"

    decisions: tuple[Decision, ...]

    @property
    def replaced(self) -> dict[str, GhostSpec]:
        """The sites that become Ghost modules, by qualified name."""
        return {d.site.name: d.ghost for d in self.decisions if d.ghost is not None}

    @classmethod
    def of(cls, model: Any) -> Plan:
        """The plan that ``model`` was converted by.

        Raises:
            GhostifyError: if `convert` did not make this model.
        """
        plan = cls.find(model)
        if plan is None:
            raise GhostifyError(f"{type(model).__name__} was not made by ghostify.convert")
        return plan

    def to_dict(self) -> dict[str, Any]:
        """JSON types only; the decision comes first in each layer's entry."""
        return {
            "format": _FORMAT,
            "layers": {d.site.name: _decision_to_dict(d) for d in self.decisions},
        }

    def to_json(self) -> str:
        """JSON with one line a layer, made to be read and edited."""
        return readable_json(self.to_dict(), depth=2) + "\n"

    @classmethod
    def from_dict(cls, data: Any) -> Plan:
        """Read what `to_dict` wrote.

        Raises:
            GhostifyError: naming the layer and what is wrong with its entry.
        """
        if not isinstance(data, Mapping) or data.get("format") != _FORMAT:
            raise GhostifyError(f'not a plan: "format" must be "{_FORMAT}"')
        layers = data.get("layers")
        if not isinstance(layers, Mapping) or set(data) != {"format", "layers"}:
            raise GhostifyError('not a plan: it holds "format" and "layers", and nothing else')
        return cls(tuple(_decision_from_dict(name, entry) for name, entry in layers.items()))

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Read what `to_json` wrote, perhaps edited since.

        Raises:
            GhostifyError: with the line of a syntax error, or the layer with a wrong entry.
        """
        return cls.from_dict(parse_json(text, "plan"))


def _decision_to_dict(decision: Decision) -> dict[str, Any]:
    verdict: dict[str, Any] = (
        {"ghost": asdict(decision.ghost)} if decision.ghost else {"keep": decision.keep}
    )
    site = asdict(decision.site)
    del site["name"]
    plain: dict[str, Any] = json.loads(json.dumps(verdict | site))
    return plain


def _decision_from_dict(name: str, entry: Any) -> Decision:
    try:
        entry = dict(entry)
        ghost, keep = entry.pop("ghost", None), entry.pop("keep", None)
        return Decision(
            site=_site_from_dict(name, entry),
            ghost=None if ghost is None else construct(GhostSpec, ghost),
            keep=None if keep is None else _text(keep),
        )
    except GhostifyError as error:
        prefix = "" if str(error).startswith(name) else f"{name}: "
        raise GhostifyError(f"{prefix}{error}") from error
    except (TypeError, ValueError, KeyError) as error:
        raise GhostifyError(f"{name}: not a layer of a plan ({error})") from error


def _site_from_dict(name: str, entry: dict[str, Any]) -> ConvSite:
    geometry = entry.pop("geometry")
    if not isinstance(geometry, Mapping):
        raise GhostifyError("'geometry' must hold the convolution's numbers by name")
    numbers = {key: _frozen(value) for key, value in geometry.items()}
    plain = {key: _frozen(value) for key, value in entry.items()}
    named = {"name": name, "geometry": construct(Geometry, numbers)}
    site: ConvSite = construct(ConvSite, named | plain)
    return site


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise GhostifyError("'keep' must be a reason in words")
    return value
