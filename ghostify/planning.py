"""Decide, for every site, what becomes of it. A plan is data; nothing is changed here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from ghostify.costs import ghost_weights
from ghostify.spec import ConvSite, Decision, GhostifyError, GhostSpec, Plan
from ghostify.spec.errors import near


def plan(
    sites: Iterable[ConvSite],
    *,
    ratio: float = GhostSpec.ratio,
    dw_size: int = GhostSpec.dw_size,
    include: str | Iterable[str] = (),
    exclude: str | Iterable[str] = (),
    stem: bool = False,
    all_eligible: bool = False,
) -> Plan:
    """The uniform plan: one ratio and one kernel wherever a Ghost module can stand and pays.

    A pattern is a glob (``layer1.*``, ``Bottleneck``) and matches a convolution by its qualified
    name, by its type, or by the name or type of a module around it.

    Args:
        sites: what `analyze` found.
        ratio: s, outputs for each intrinsic map; above 1.
        dw_size: d, the side of the cheap operation's kernel; odd.
        include: replace only what matches this pattern, or one of these.
        exclude: keep what matches this pattern, or one of these.
        stem: also replace the first convolution, which the paper's authors advise to keep.
        all_eligible: also replace where it does not pay: where the Ghost module would have no
            fewer weights than the convolution, and on 1x1 maps.

    Raises:
        GhostifyError: if ``ratio`` or ``dw_size`` is out of range or a pattern matches nothing.
    """
    ghost = GhostSpec(ratio, dw_size)
    sites, include, exclude = tuple(sites), _patterns(include), _patterns(exclude)
    for pattern in (*include, *exclude):
        _check_matches(pattern, sites)

    def reason_to_keep(site: ConvSite) -> str | None:
        if site.obstacle is not None:
            return site.obstacle
        if site.stem and not stem:
            return "first convolution (stem)"
        if include and not any(_matches(pattern, site) for pattern in include):
            return "not included"
        if excluding := next((p for p in exclude if _matches(p, site)), None):
            return f"excluded by {excluding}"
        return _reason_not_to_pay(site, ghost, all_eligible)

    decisions = []
    for site in sites:
        keep = reason_to_keep(site)
        decisions.append(Decision(site, keep=keep) if keep else Decision(site, ghost))
    return Plan(tuple(decisions))


def _reason_not_to_pay(site: ConvSite, ghost: GhostSpec, all_eligible: bool) -> str | None:
    outputs = site.geometry.out_channels
    if ghost.intrinsic(outputs) == outputs:
        return f"no ghosts to make of {outputs} maps at ratio {ghost.ratio:g}"
    if all_eligible:
        return None
    if site.output == (1, 1):
        return "1x1 output map: nothing spatial to share"
    if ghost_weights(site.geometry, ghost) >= site.geometry.weights:
        return "a Ghost module would not cost less"
    return None


def _patterns(given: str | Iterable[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def _check_matches(pattern: str, sites: Sequence[ConvSite]) -> None:
    if not any(_matches(pattern, site) for site in sites):
        known = {label for site in sites for label in _labels(site)}
        raise GhostifyError(f"pattern {pattern!r} matches no convolution{near(pattern, known)}")


def _matches(pattern: str, site: ConvSite) -> bool:
    return any(fnmatchcase(label, pattern) for label in _labels(site))


def _labels(site: ConvSite) -> list[str]:
    steps = site.name.split(".")
    names = [".".join(steps[: end + 1]) for end in range(len(steps))]
    return [*names, site.type, *site.within]
