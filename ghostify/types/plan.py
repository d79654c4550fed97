"""Plans: what becomes of each convolution of a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from ghostify.types.attachment import Attachment
from ghostify.types.conv_site import ConvSite
from ghostify.types.errors import GhostifyError
from ghostify.types.ghost_spec import GhostSpec
from ghostify.types.score import Score
from ghostify.types.serialization import Serializable, decode, encode, joined


@dataclass(frozen=True, slots=True)
class Decision:
    """Decision on one convolution: replace it by ``ghost``, or keep it for the reason ``keep``.

    Raises:
        GhostifyError: unless exactly one of the two is given, or if ``ghost`` is given for an
            ineligible site.
    """

    site: ConvSite
    ghost: GhostSpec | None = None
    keep: str | None = None

    def __post_init__(self) -> None:
        if (self.ghost is None) == (self.keep is None):
            raise GhostifyError("give either `ghost` or `keep`")
        if self.keep is not None and not self.keep.strip():
            raise GhostifyError("`keep` must be a reason in words")
        if self.ghost is not None and self.site.ineligible is not None:
            raise GhostifyError(f"{self.site.name} cannot be replaced: {self.site.ineligible}")


@dataclass(frozen=True, slots=True)
class Plan(Attachment, Serializable):
    """One decision for each convolution of a model, in the order of execution.

    Its JSON has one entry per layer, by qualified name, which begins with the decision.
    """

    _format: ClassVar[str] = "ghostify-plan/1"

    decisions: tuple[Decision, ...]

    @property
    def replaced(self) -> dict[str, GhostSpec]:
        """The Ghost modules by qualified name of the convolution that they replace."""
        return {d.site.name: d.ghost for d in self.decisions if d.ghost is not None}

    def keeping(self, reasons: Mapping[str, str]) -> Plan:
        """Return the plan with these convolutions kept, by qualified name and reason."""
        return Plan(
            tuple(
                Decision(d.site, keep=reasons[d.site.name])
                if d.ghost and d.site.name in reasons
                else d
                for d in self.decisions
            )
        )

    @classmethod
    def of(cls, model: Any) -> Plan:
        """Return the plan that ``model`` was converted with.

        Raises:
            GhostifyError: if the model was not returned by `convert`.
        """
        plan = cls.find(model)
        if plan is None:
            raise GhostifyError(
                f"{type(model).__name__} is not a converted model: pass what ghostify.convert "
                "returned"
            )
        return plan

    def to_dict(self) -> dict[str, Any]:
        """Return the format and the layers as JSON types."""
        layers = {d.site.name: _encode_decision(d) for d in self.decisions}
        return {"format": self._format, "layers": layers}

    @classmethod
    def _decode(cls, data: Any, path: str) -> Self:
        layers = _Layers._decode(data, path).layers
        where = joined(path, "layers")
        return cls(tuple(_decode_decision(n, layers[n], f"{where}[{n!r}]") for n in layers))


@dataclass(frozen=True, slots=True)
class _Layers(Serializable):
    _format: ClassVar[str] = Plan._format

    layers: Mapping[str, Mapping[str, Any]]


def _encode_decision(decision: Decision) -> dict[str, Any]:
    site = encode(decision.site)
    del site["name"]
    verdict = {"keep": decision.keep} if decision.ghost is None else {"ghost": decision.ghost}
    return {**encode(verdict), **site}


def _decode_decision(name: str, entry: Mapping[str, Any], path: str) -> Decision:
    verdict = {key: entry[key] for key in ("ghost", "keep") if key in entry}
    rest = {key: value for key, value in entry.items() if key not in verdict}
    site = decode(ConvSite, {**rest, "name": name}, path)
    return decode(Decision, {**verdict, "site": site}, path)  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class PlanCandidate(Serializable):
    """A plan that `search` tried.

    Attributes:
        plan: its description, such as ``macs=0.5, s up to 4``.
        uniform: whether all sites have the same ratio and kernel size.
        macs: MACs of all convolutions in one forward pass, replaced or not.
        score: score on held-out images, with the original as teacher.
    """

    plan: str
    uniform: bool
    macs: int
    score: Score
