"""A plan that was tried out, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ghostify.types.errors import GhostifyError
from ghostify.types.fidelity import Agreement
from ghostify.types.serialization import construct


@dataclass(frozen=True, slots=True)
class PlanCandidate:
    """What a plan for a network costs and keeps.

    Attributes:
        plan: what it is, such as ``macs=0.5, s up to 4``.
        uniform: whether it has one s and d for all sites.
        macs: of all convolutions in one forward pass, those that stay included.
        agreement: with the original, on images held out.
    """

    plan: str
    uniform: bool
    macs: int
    agreement: Agreement

    def to_dict(self) -> dict[str, Any]:
        """JSON types only."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Any) -> PlanCandidate:
        """Read what `to_dict` wrote.

        Raises:
            GhostifyError: if it is something else.
        """
        if not isinstance(data, Mapping) or "agreement" not in data:
            raise GhostifyError("not a trial: it has no agreement")
        try:
            trial: PlanCandidate = construct(
                cls, {**data, "agreement": construct(Agreement, data["agreement"])}
            )
        except TypeError as error:
            raise GhostifyError(f"not a trial: {error}") from error
        return trial
