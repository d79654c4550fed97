"""Sensitivity of the layers of a model to their replacement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from ghostify.types.attachment import Attachment
from ghostify.types.errors import GhostifyError
from ghostify.types.ghost_spec import GhostSpec, is_finite
from ghostify.types.serialization import Serializable


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensitivity(Attachment, Serializable):
    """Estimated loss increase when one layer alone is replaced, for each layer and Ghost module.

    A kept layer has a loss increase of 0. A plan's loss increase is estimated as the sum over its
    layers.

    Attributes:
        unit: unit of the loss increase, such as ``KL (nats)``.
        measured: whether it was measured on data, or estimated from the weights.
        totals: costs of the whole original network by name, such as ``macs`` and ``params``.
        layers: loss increase by Ghost module, by qualified name of the layer.

    Raises:
        GhostifyError: if a number is not finite.
    """

    _attribute: ClassVar[str] = "_ghostify_sensitivity"
    _noun: ClassVar[str] = "sensitivity"
    _format: ClassVar[str] = "ghostify-sensitivity/1"

    unit: str
    measured: bool
    totals: Mapping[str, float] = field(default_factory=dict)
    layers: Mapping[str, Mapping[GhostSpec, float]]

    def __post_init__(self) -> None:
        if not isinstance(self.unit, str) or not self.unit.strip():
            raise GhostifyError(f"`unit` (={self.unit!r}) must name a unit")
        for cost, total in self.totals.items():
            if not is_finite(total):
                raise GhostifyError(f"`totals[{cost!r}]` (={total!r}) must be a finite number")
        for name, by_ghost in self.layers.items():
            for ghost, increase in by_ghost.items():
                if not is_finite(increase):
                    raise GhostifyError(
                        f"{name}: sensitivity to {ghost} (={increase!r}) must be a finite number"
                    )

    @property
    def candidates(self) -> tuple[GhostSpec, ...]:
        """The Ghost modules that were tried at any layer, in the order of appearance."""
        return tuple(dict.fromkeys(ghost for layer in self.layers.values() for ghost in layer))

    def of(self, name: str, ghost: GhostSpec) -> float:
        """Return the loss increase when ``ghost`` replaces the layer ``name``.

        Raises:
            GhostifyError: if it was not measured.
        """
        if name not in self.layers:
            raise GhostifyError(f"{name} is not in the sensitivity: measure it again")
        if ghost not in self.layers[name]:
            raise GhostifyError(
                f"{name}: no sensitivity to {ghost}: measure it again with this candidate"
            )
        return self.layers[name][ghost]
