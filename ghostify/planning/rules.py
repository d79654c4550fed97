"""Which convolutions to change, and which Ghost modules pay."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from ghostify.planning.cost import weights
from ghostify.types import ConvSite, GhostifyError, GhostSpec, LayerLatencies
from ghostify.types.errors import near

Patterns = str | Iterable[str]
"""One or several globs."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Rules that keep a convolution.

    Attributes:
        include: keep what matches none of these patterns, if there are any.
        exclude: keep what matches one of these patterns.
        stem: whether the first convolution may be replaced. It may lose channels in any case.
        all_eligible: whether to replace a convolution where it does not pay.
        latencies: keep what would not be faster.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    stem: bool = False
    all_eligible: bool = False
    latencies: LayerLatencies | None = None

    def reason_to_keep(self, site: ConvSite, ghost: GhostSpec) -> str | None:
        """Return why ``ghost`` does not replace the convolution, or None if it does."""
        return self.reason_to_leave(site) or self.reason_against(site, ghost)

    def reason_to_leave(self, site: ConvSite) -> str | None:
        """Return why no Ghost module replaces the convolution, or None if one may."""
        if site.ineligible is not None:
            return site.ineligible
        if site.stem and not self.stem:
            return "first convolution (stem)"
        return self.left_out(site)

    def left_out(self, site: ConvSite) -> str | None:
        """Return why the convolution is not to be changed, or None if it may."""
        if self.include and not any(_matches(pattern, site) for pattern in self.include):
            return "not included"
        return self.excluded(site)

    def excluded(self, site: ConvSite) -> str | None:
        """Return which pattern excludes the convolution, or None if none does."""
        excluding = next((p for p in self.exclude if _matches(p, site)), None)
        return f"excluded by {excluding}" if excluding else None

    def reason_against(self, site: ConvSite, ghost: GhostSpec) -> str | None:
        """Return why ``ghost`` does not pay at a convolution with these channels."""
        outputs = site.geometry.out_channels
        if ghost.intrinsic(outputs) == outputs:
            return f"too few output channels ({outputs}) at ratio {ghost.ratio:g}"
        if self.all_eligible:
            return None
        if site.output == (1, 1):
            return "1x1 output map"
        if weights(site.geometry, ghost) >= site.geometry.weights:
            return "a Ghost module would not cost less"
        return self.latencies.reason_to_keep(site, ghost) if self.latencies else None


def patterns_for(sites: Sequence[ConvSite], given: Patterns) -> tuple[str, ...]:
    """Return the patterns as a tuple; each must match one of ``sites``."""
    patterns = (given,) if isinstance(given, str) else tuple(given)
    for pattern in patterns:
        if not any(_matches(pattern, site) for site in sites):
            known = {label for site in sites for label in _labels(site)}
            raise GhostifyError(f"pattern {pattern!r} matches no convolution{near(pattern, known)}")
    return patterns


def _matches(pattern: str, site: ConvSite) -> bool:
    return any(fnmatchcase(label, pattern) for label in _labels(site))


def _labels(site: ConvSite) -> list[str]:
    steps = site.name.split(".")
    names = [".".join(steps[: end + 1]) for end in range(len(steps))]
    return [*names, site.type, *site.within]
