"""A convolution with its costs before and after conversion."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan

from ghostify.planning.cost import macs, params
from ghostify.types import ConvSite, GhostSpec


@dataclass(frozen=True, slots=True)
class SiteRow:
    """A row of a report: a convolution, and its parameters and MACs before and after conversion.

    Attributes:
        site: the convolution.
        ghost: the Ghost module that replaced it; None if it was kept.
        reason: why it was kept.
    """

    site: ConvSite
    ghost: GhostSpec | None = None
    reason: str = ""

    @property
    def params_before(self) -> int:
        return params(self.site, None)

    @property
    def params_after(self) -> int:
        return params(self.site, self.ghost)

    @property
    def macs_before(self) -> int:
        return macs(self.site, None)

    @property
    def macs_after(self) -> int:
        return macs(self.site, self.ghost)

    @property
    def macs_ratio(self) -> float:
        """MACs before / after."""
        return self.macs_before / self.macs_after if self.macs_after else nan
