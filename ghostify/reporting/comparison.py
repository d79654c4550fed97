"""Put a converted model beside its original."""

from __future__ import annotations

from torch import nn

from ghostify.analysis import analyze
from ghostify.costs import conv_macs
from ghostify.costs.counting import count
from ghostify.reporting.report import KeptSite, ReplacedSite, Report
from ghostify.spec import Example, GhostifyError, Plan, describe_example


def compare(
    model: nn.Module, converted: nn.Module, example: Example, *, name: str | None = None
) -> Report:
    """Report what the conversion of ``model`` to ``converted`` saved.

    Args:
        model: the original.
        converted: what `convert` made of it, or `load` read back.
        example: an input of both; maps and MACs are those of this batch.
        name: what the report calls the model; its class name by default.

    Raises:
        GhostifyError: if ``converted`` was not made by `convert` from such a model, or fvcore
            cannot count.
    """
    plan = Plan.of(converted)
    sites = {site.name: site for site in analyze(model, example)}
    if missing := [d.site.name for d in plan.decisions if d.site.name not in sites]:
        raise GhostifyError(f"{type(model).__name__} is not the original: it has no {missing[0]}")
    replaced, kept = [], []
    for decision in plan.decisions:
        site = sites[decision.site.name]
        if decision.ghost is not None:
            replaced.append(ReplacedSite.priced(site, decision.ghost))
        else:
            kept.append(KeptSite(site, decision.keep or "", conv_macs(site)))
    return Report(
        model=name or type(model).__name__,
        input=describe_example(example),
        replaced=tuple(replaced),
        kept=tuple(kept),
        before=count(model, example),
        after=count(converted, example),
    )
