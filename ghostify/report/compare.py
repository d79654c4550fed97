"""Put a converted model beside its original."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torch import nn

from ghostify.analysis import analyze
from ghostify.analysis.arguments import check_model
from ghostify.analysis.dry_run import dry_run
from ghostify.data import as_batches
from ghostify.evaluation.agreement import agreement
from ghostify.planning.cost import conv_macs
from ghostify.planning.flops import count
from ghostify.report.report import HELD_OUT, Report
from ghostify.report.site_rows import KeptSite, ReplacedSite
from ghostify.types import Example, Fidelity, GhostifyError, Plan, describe_example


def compare(
    model: nn.Module,
    converted: nn.Module,
    example: Example,
    *,
    name: str | None = None,
    data: Any = None,
) -> Report:
    """Report what the conversion of ``model`` to ``converted`` saved, and what it has kept.

    Args:
        model: the original.
        converted: what `convert` made of it, or `load` read back.
        example: an input of both; maps and MACs are those of this batch.
        name: what the report calls the model; its class name by default.
        data: images to compare the outputs of both on, in any form that `convert` takes for its
            calibration. Without, the report says what was measured when converting.

    Raises:
        GhostifyError: if ``converted`` was not made by `convert` from such a model, or does not run
            on the example.
    """
    check_model(model)
    check_model(converted, "converted")
    plan = Plan.of(converted)
    sites = {site.name: site for site in analyze(model, example)}
    decisions = {decision.site.name: decision for decision in plan.decisions}
    for planned in (d.site for d in plan.decisions if not d.site.functional):
        found = sites.get(planned.name)
        if found is None or found.geometry != planned.geometry:
            has = f"{planned.name} is {found.geometry}" if found else f"it has no {planned.name}"
            raise GhostifyError(f"{type(model).__name__} is not the original: {has}")
    replaced, kept = [], []
    for site in sites.values():
        decision = decisions.get(site.name)
        if decision is not None and decision.ghost is not None:
            replaced.append(ReplacedSite.priced(site, decision.ghost))
        else:
            reason = decision and decision.keep
            kept.append(KeptSite(site, reason or "not in the plan", conv_macs(site)))
    before, after = count(model, example), count(converted, example)
    if before.counter != after.counter:
        before, after = (count(m, example, counter="torch") for m in (model, converted))
    fidelity = Fidelity.find(converted)
    if data is not None:
        batches = as_batches(data, example)
        dry_run(model, batches[0])  # images may be of another size than the example
        measured = agreement(model, converted, batches)
        fidelity = replace(fidelity or Fidelity("unknown"), agreement=measured)
    return Report(
        model=name or type(model).__name__,
        input=describe_example(example),
        replaced=tuple(replaced),
        kept=tuple(kept),
        before=before,
        after=after,
        order=tuple(sites),
        fidelity=fidelity,
        agreement_on=HELD_OUT if data is None else "images given to compare",
    )
