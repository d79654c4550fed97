"""Which sites may be replaced, and by which Ghost modules that pays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from ghostify.planning.cost import ghost_weights
from ghostify.types import ConvSite, GhostifyError, GhostSpec, LayerLatencies
from ghostify.types.errors import near

Patterns = str | Iterable[str]
"""One glob, or several."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the user and the paper's authors leave dense.

    Attributes:
        include: replace only what matches one of these patterns, if there are any.
        exclude: keep what matches one of these.
        stem: also replace the first convolution.
        all_eligible: also replace where it does not pay.
        latencies: leave dense what would not be faster.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    stem: bool = False
    all_eligible: bool = False
    latencies: LayerLatencies | None = None

    def reason_to_keep(self, site: ConvSite) -> str | None:
        """Why the site stays whatever it would become; None if it may be replaced."""
        if site.ineligible is not None:
            return site.ineligible
        if site.stem and not self.stem:
            return "first convolution (stem)"
        if self.include and not any(_matches(pattern, site) for pattern in self.include):
            return "not included"
        if excluding := next((p for p in self.exclude if _matches(p, site)), None):
            return f"excluded by {excluding}"
        return None

    def reason_against(self, site: ConvSite, ghost: GhostSpec) -> str | None:
        """Why the site is not worth replacing by ``ghost``; None if it is."""
        outputs = site.geometry.out_channels
        if ghost.intrinsic(outputs) == outputs:
            return f"no ghosts to make of {outputs} maps at ratio {ghost.ratio:g}"
        if self.all_eligible:
            return None
        if site.output == (1, 1):
            return "1x1 output map: nothing spatial to share"
        if ghost_weights(site.geometry, ghost) >= site.geometry.weights:
            return "a Ghost module would not cost less"
        return self.latencies.reason_against(site, ghost) if self.latencies else None


def patterns_for(sites: Sequence[ConvSite], given: Patterns) -> tuple[str, ...]:
    """The patterns one by one.

    Raises:
        GhostifyError: if one matches none of ``sites``, with names that are near.
    """
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
