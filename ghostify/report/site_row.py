"""A convolution before and after conversion."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ghostify.planning import cost
from ghostify.types import ConvSite, Geometry, GhostSpec, Plan


@dataclass(frozen=True, slots=True)
class SiteRow:
    """A convolution, what became of it, and why it was not replaced.

    Attributes:
        site: the convolution of the original.
        remaining: its geometry with the input and output channels that are left.
        ghost: the Ghost module that replaced it, if any.
        reason: the reason why none did; empty if one did.
    """

    site: ConvSite
    remaining: Geometry
    ghost: GhostSpec | None = None
    reason: str = ""

    @property
    def converted(self) -> ConvSite:
        """The site with the channels that are left."""
        return replace(self.site, geometry=self.remaining)

    @property
    def pruned(self) -> bool:
        """Whether it has fewer output channels than before."""
        return self.remaining.out_channels < self.site.geometry.out_channels

    @property
    def changed(self) -> bool:
        """Whether it is a Ghost module now, or has fewer input or output channels."""
        return self.ghost is not None or self.remaining != self.site.geometry

    @property
    def params(self) -> tuple[int, int]:
        """Parameters before and after conversion."""
        return cost.params(self.site), cost.params(self.converted, self.ghost)

    @property
    def macs(self) -> tuple[int, int]:
        """MACs before and after conversion."""
        return cost.macs(self.site), cost.macs(self.converted, self.ghost)

    @property
    def inputs(self) -> str:
        """Input channels before and after, such as ``64 → 40``; ``64`` if all are left."""
        return _change(self.site.geometry.in_channels, self.remaining.in_channels)

    @property
    def outputs(self) -> str:
        """Output channels before and after, such as ``64 → 40 (20 + 20 ghosts)``."""
        width = self.remaining.out_channels
        channels = _change(self.site.geometry.out_channels, width)
        if self.ghost is None:
            return channels
        intrinsic = self.ghost.intrinsic(width)
        return f"{channels} ({intrinsic} + {width - intrinsic} ghosts)"

    @property
    def channels(self) -> str:
        """The channels that are left, such as ``32→20+20``: inputs, intrinsic maps and ghosts."""
        width = self.remaining.out_channels
        intrinsic = width if self.ghost is None else self.ghost.intrinsic(width)
        ghosts = f"+{width - intrinsic}" if self.ghost else ""
        return f"{self.remaining.in_channels}→{intrinsic}{ghosts}"


def site_rows(plan: Plan) -> tuple[SiteRow, ...]:
    """Return a row for each convolution of a plan, in execution order."""
    return tuple(
        SiteRow(decision.site, converted.geometry, decision.ghost, decision.keep or "")
        for decision, converted in zip(plan.decisions, plan.converted_sites, strict=True)
    )


def _change(before: int, after: int) -> str:
    return str(before) if after == before else f"{before} → {after}"
