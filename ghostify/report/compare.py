"""Compare a converted model with its original."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torch import nn

from ghostify.analysis import analyze
from ghostify.analysis.arguments import check_model
from ghostify.analysis.dry_run import materialize
from ghostify.evaluation.evaluate import agreement
from ghostify.evaluation.output_kinds import calibrate_on, known_outputs
from ghostify.models.identity import check_original
from ghostify.planning.flops import count
from ghostify.report.report import HELD_OUT, Report
from ghostify.report.site_row import SiteRow, site_rows
from ghostify.types import (
    ConvSite,
    Example,
    Fidelity,
    GhostifyError,
    OriginalWeights,
    Plan,
    describe_example,
)
from ghostify.types.outputs import OutputsLike


def compare(
    model: nn.Module,
    converted: nn.Module,
    example: Example,
    *,
    name: str | None = None,
    data: Any = None,
    outputs: OutputsLike = None,
) -> Report:
    """Report the costs of a model before and after conversion, and the agreement of outputs.

    Args:
        model: the original.
        converted: the model that `convert` or `load` returned.
        example: an input of both. MACs and feature-map sizes are those of this batch.
        name: name of the model in the report. Default: its class name.
        data: images to compare the outputs on, in any form that `convert` takes as calibration.
            Default: report the agreement that `convert` measured.
        outputs: what the outputs are, as in `convert`. Default: what ``converted`` remembers, or
            found.

    Raises:
        GhostifyError: if ``converted`` was not converted from such a model, a model does not run on
            the example, or with ``data``, ``model`` is not trained or has other weights than the
            network that was converted.
    """
    model = materialize(model, example)
    check_model(converted, "converted")
    plan = Plan.of(converted)
    sites = {site.name: site for site in analyze(model, example)}
    _check_original(model, plan, sites)
    planned = {row.site.name: row for row in site_rows(plan)}
    rows = (
        replace(planned[name], site=site)
        if name in planned
        else SiteRow(site, site.geometry, reason="not in the plan")
        for name, site in sites.items()
    )
    before, after = count(model, example), count(converted, example)
    if before.counter != after.counter:
        before, after = (count(m, example, counter="torch") for m in (model, converted))
    fidelity, found = Fidelity.find(converted), known_outputs(converted)
    if data is not None:
        check_original(model, OriginalWeights.find(converted), "`model`")
        batches, found = calibrate_on(model, data, example, outputs or found, evaluation=True)
        measured = agreement(model, converted, batches, found)
        fidelity = replace(fidelity or Fidelity("unknown"), score=measured)
    return Report(
        model=name or type(model).__name__,
        input=describe_example(example),
        sites=tuple(rows),
        before=before,
        after=after,
        fidelity=fidelity,
        agreement_on=HELD_OUT if data is None else "images given to compare",
        outputs=found,
    )


def _check_original(model: nn.Module, plan: Plan, sites: dict[str, ConvSite]) -> None:
    for planned in (d.site for d in plan.decisions if not d.site.functional):
        found = sites.get(planned.name)
        if found is None or found.geometry != planned.geometry:
            has = f"{planned.name} is {found.geometry}" if found else f"it has no {planned.name}"
            raise GhostifyError(f"`model` (={type(model).__name__}) is not the original: {has}")
