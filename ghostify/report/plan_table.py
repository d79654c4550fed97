"""What a plan decides, in a few lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ghostify.planning import cost
from ghostify.report.document import Column, Document, Table, numeric, si
from ghostify.report.estimate import estimated_increase
from ghostify.types import (
    ConvSite,
    Decision,
    GhostSpec,
    LayerLatencies,
    Plan,
    PlanCandidate,
    Sensitivity,
)

Cost = Callable[[ConvSite, GhostSpec | None], float]


def list_plan(
    plan: Plan,
    *,
    model: str,
    sensitivity: Sensitivity | None = None,
    latencies: LayerLatencies | None = None,
    compared: Sequence[PlanCandidate] = (),
) -> Document:
    """Return how many layers become which Ghost module or lose channels, and what that costs.

    Args:
        plan: the plan.
        model: name of the model, or empty.
        sensitivity: what the plan was made by; predicts the divergence, and knows the costs of the
            whole network. Without it, costs are those of the convolutions.
        latencies: what the plan was made by; predict the latency.
        compared: plans that `search` converted.
    """
    tables = (_compared(compared), _decisions(plan), _costs(plan, sensitivity, latencies))
    pruned = f", {len(plan.widths)} to be pruned" if plan.widths else ""
    counted = f"{len(plan.replaced)} of {len(plan.decisions)} convolutions to be replaced"
    return Document(
        title=f"{model}: {counted}{pruned}".removeprefix(": "),
        tables=tuple(filter(None, tables)),
        notes=tuple(_predictions(plan, sensitivity)),
        records=(),
        data=plan.to_dict(),
    )


def _decisions(plan: Plan) -> Table:
    groups: dict[str, list[Decision]] = {}
    for decision in sorted(plan.decisions, key=_order):
        groups.setdefault(_what(decision), []).append(decision)
    total = sum(cost.macs(d.site) for d in plan.decisions) or 1
    rows = []
    for name, group in groups.items():
        share = sum(cost.macs(d.site) for d in group) / total
        left = sum(d.width or d.site.geometry.out_channels for d in group)
        channels = left / sum(d.site.geometry.out_channels for d in group)
        rows.append((name, str(len(group)), f"{channels:.0%}", f"{share:.1%}"))
    columns = (Column(""), *numeric("layers", "channels left", "of all MACs"))
    table = Table("Decisions", columns, tuple(rows))
    return table if plan.widths else table.without(2)


def _order(decision: Decision) -> tuple[float, bool]:
    return decision.ghost.ratio if decision.ghost else 0, decision.width is not None


def _what(decision: Decision) -> str:
    """Return what becomes of a layer, without its numbers."""
    pruned = decision.width is not None
    if decision.ghost is not None:
        return f"{decision.ghost}, pruned" if pruned else str(decision.ghost)
    reason = (decision.keep or "").partition(":")[0].removeprefix("kept ")
    return "pruned" if pruned else f"kept: {reason}"


def _costs(plan: Plan, sensitivity: Sensitivity | None, latencies: LayerLatencies | None) -> Table:
    totals = dict(sensitivity.totals) if sensitivity else {}
    costs: list[tuple[str, str, Cost, float | None, Callable[[float], str]]] = [
        ("macs", "MACs", cost.macs, totals.get("macs"), lambda n: si(n, 4)),
        ("params", "parameters", cost.params, totals.get("params"), lambda n: si(n, 4)),
    ]
    if latencies is not None:
        name = f"latency in {latencies.runtime}, predicted"
        costs.append(("latency", name, latencies.of, latencies.total, lambda ms: f"{ms:.3g} ms"))
    layers = [*zip(plan.decisions, plan.converted_sites, strict=True)]
    rows = []
    for key, name, of, total, shown in costs:
        saved = sum(of(d.site, None) - of(converted, d.ghost) for d, converted in layers)
        before = sum(of(d.site, None) for d in plan.decisions) if total is None else total
        after = before - saved - (0 if total is None else _saved_elsewhere(plan, key))
        of_what = ", convolutions" if total is None else ""
        ratio = f"{before / after:.2f}x" if after else "-"
        rows.append((name + of_what, shown(before), shown(after), ratio))
    return Table("Costs", (Column(""), *numeric("before", "after", "ratio")), tuple(rows))


def _saved_elsewhere(plan: Plan, name: str) -> int:
    """Return what dropped channels save in linear layers and BatchNorms."""
    saved = 0
    for decision in plan.decisions:
        if decision.width is not None and (region := decision.site.region):
            dropped = decision.site.geometry.out_channels - decision.width
            saved += dropped * cost.channel_cost(region, name)
    return saved


def _compared(candidates: Sequence[PlanCandidate]) -> Table | None:
    """The plans that were converted, with the first of the best ones marked."""
    if not candidates:
        return None
    scores = [candidate.score for candidate in candidates]
    best = 0
    for place, score in enumerate(scores):
        best = place if score.better_than(scores[best]) else best
    name = "KL (nats)" if candidates[0].score.kl is not None else "error"
    rows = tuple(
        (c.plan, si(c.macs), f"{-score.selection_score:.3g}", "chosen" if place == best else "")
        for place, (c, score) in enumerate(zip(candidates, scores, strict=True))
    )
    columns = (Column("plan"), *numeric("MACs", name), Column(""))
    return Table(f"Compared on {candidates[0].score.images} held-out images", columns, rows)


def _predictions(plan: Plan, sensitivity: Sensitivity | None) -> Iterator[str]:
    if sensitivity is None or not sensitivity.measured:
        return
    changed = [d for d in plan.decisions if d.changes]
    found = [estimated_increase(sensitivity, d.site, d.ghost, d.width) for d in changed]
    values = [value for value in found if value is not None]
    if len(values) == len(found):  # a uniform plan may have another ratio than was measured
        yield f"Predicted {sensitivity.unit}: {sum(values):.3g}, the sum over the changed layers."
