"""One row of the report: a convolution, what became of it, and its costs before and after."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ghostify.planning.cost import conv_macs, conv_params, ghost_macs, ghost_params
from ghostify.types import ConvSite, GhostSpec


@dataclass(frozen=True, slots=True)
class ReplacedSite:
    """A convolution that became a Ghost module, with the costs of both on the example."""

    site: ConvSite
    ghost: GhostSpec
    params_before: int
    params_after: int
    macs_before: int
    macs_after: int

    @classmethod
    def priced(cls, site: ConvSite, ghost: GhostSpec) -> ReplacedSite:
        """The costs by formula, which tests hold equal to fvcore's counts."""
        return cls(
            site=site,
            ghost=ghost,
            params_before=conv_params(site.geometry),
            params_after=ghost_params(site.geometry, ghost),
            macs_before=conv_macs(site),
            macs_after=ghost_macs(site, ghost),
        )

    @property
    def factor(self) -> float:
        """How many times fewer weights, and so MACs a position, the Ghost module has."""
        return self.macs_before / self.macs_after if self.macs_after else float("nan")


@dataclass(frozen=True, slots=True)
class KeptSite:
    """A convolution that stayed, and why; its costs have the names of those of a `ReplacedSite`."""

    ghost: ClassVar[None] = None

    site: ConvSite
    reason: str
    macs: int

    @property
    def macs_before(self) -> int:
        """As they are."""
        return self.macs

    macs_after = macs_before

    @property
    def params_before(self) -> int:
        """As they are."""
        return conv_params(self.site.geometry)

    params_after = params_before
