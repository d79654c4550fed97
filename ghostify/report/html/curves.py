"""Charts of plan candidates and of recovery training."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ghostify.report.charts import Curve, Plot
from ghostify.report.document import si
from ghostify.report.html.summary import ArtifactSummary
from ghostify.types import Agreement, PlanCandidate, Recovery


def page_plots(summary: ArtifactSummary) -> dict[str, Plot]:
    """Return the charts that there are values for, by file name."""
    plots = {
        "plans": plan_plot(summary),
        "recovery-loss": loss_plot(summary.recovery),
        "recovery-score": score_plot(summary.recovery),
    }
    return {name: plot for name, plot in plots.items() if plot is not None}


def plan_plot(summary: ArtifactSummary) -> Plot | None:
    """Return the agreement of plan candidates over their MACs; None without candidates."""
    if not summary.candidates:
        return None
    report, candidates = summary.report, summary.candidates
    logits = all(candidate.agreement.top1 is not None for candidate in candidates)
    curves = [
        _candidates("s chosen per layer", [c for c in candidates if not c.uniform], "ghost"),
        _candidates("one s for all layers", [c for c in candidates if c.uniform], "original"),
    ]
    agreement = report.fidelity.agreement if report.fidelity else None
    if agreement is not None and (agreement.top1 is not None) == logits:
        macs = sum(row.macs_after for row in report.sites)
        curves.append(
            Curve("this network", ((macs, _kept(agreement)),), "current", ("this network",))
        )
    label = "share of images with the original's top-1 class" if logits else "relative error"
    shown = tuple(curve for curve in curves if curve.points)
    return Plot(label.capitalize(), "MACs of the convolutions", label, shown, percent=logits)


def loss_plot(recovery: Recovery | None) -> Plot | None:
    """Return the training loss by epoch; None without a history."""
    history = recovery.history if recovery else ()
    points = _points((record["epoch"], record.get("loss")) for record in history)
    if not points:
        return None
    return Plot("Loss", "epoch", "loss", (Curve("this network", points, "ghost", line=True),))


def score_plot(recovery: Recovery | None) -> Plot | None:
    """Return top-1 accuracy, or else agreement, by epoch; None if nothing was held out."""
    if recovery is None or recovery.recovered is None or not recovery.history:
        return None
    metric = next(
        (m for m in ("top1", "agreement") if getattr(recovery.recovered, m) is not None), None
    )
    if metric is None:
        return None
    epochs = [(r["epoch"], (r.get("score") or {}).get(metric)) for r in recovery.history]
    points = _points([(0, getattr(recovery.converted, metric, None)), *epochs])
    curves = [Curve("this network", points, "ghost", line=True)]
    original = getattr(recovery.original, metric, None)
    if original is not None and points:
        ends = ((0.0, original), (points[-1][0], original))
        curves.append(Curve("original", ends, "original", line=True))
    label = "Top-1 accuracy" if metric == "top1" else "Same top-1 class as the original"
    return Plot(label, "epoch", label, tuple(curves), percent=True)


def _points(pairs: Iterable[tuple[Any, Any]]) -> tuple[tuple[float, float], ...]:
    return tuple((float(x), float(y)) for x, y in pairs if y is not None)


def _kept(agreement: Agreement) -> float:
    return agreement.relative_error if agreement.top1 is None else agreement.top1


def _candidates(name: str, candidates: list[PlanCandidate], role: str) -> Curve:
    points = tuple((float(c.macs), _kept(c.agreement)) for c in candidates)
    tooltips = tuple(f"{c.plan}\n{si(c.macs)} MACs, {_kept(c.agreement):.1%}" for c in candidates)
    return Curve(name, points, role, tooltips)
