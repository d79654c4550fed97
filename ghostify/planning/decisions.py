"""The verb: a decision for every site."""

from __future__ import annotations

from collections.abc import Iterable

from ghostify.planning.rules import Patterns, Rules, patterns_for
from ghostify.planning.uniform import uniform_plan
from ghostify.spec import ConvSite, GhostSpec, Plan


def plan(
    sites: Iterable[ConvSite],
    *,
    ratio: float = GhostSpec.ratio,
    dw_size: int = GhostSpec.dw_size,
    include: Patterns = (),
    exclude: Patterns = (),
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
    sites = tuple(sites)
    include, exclude = patterns_for(sites, include), patterns_for(sites, exclude)
    return uniform_plan(sites, Rules(include, exclude, stem, all_eligible), ghost)
