"""Charts of plan candidates and of recovery training, in the page and as files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ghostify.report.charts import Curve, Plot
from ghostify.report.document import si
from ghostify.report.html.summary import ArtifactSummary
from ghostify.report.metric_texts import METRIC_TEXTS
from ghostify.report.plots import plot_curves, plot_layers, plot_timing
from ghostify.types import PlanCandidate, Recovery, Score

_LARGEST = 1e99
"""Limit of what is drawn."""


def page_plots(summary: ArtifactSummary) -> dict[str, Plot]:
    """Return the charts that there are values for, by file name."""
    plots = {
        "plans": _plan_plot(summary),
        "recovery-loss": _loss_plot(summary.recipe.recovery),
        "recovery-score": _score_plot(summary.recipe.recovery),
    }
    return {name: plot for name, plot in plots.items() if plot is not None}


def write_plots(summary: ArtifactSummary, folder: Path) -> None:
    """Write each chart that there are values for to ``folder``, as PNG and as SVG."""
    folder.mkdir(parents=True, exist_ok=True)
    for ending in ("png", "svg"):
        for name, unit in (("macs", "MACs"), ("params", "parameters")):
            plot_layers(summary.report.bars(unit), folder / f"{name}.{ending}", unit=unit)
        for name, plot in page_plots(summary).items():
            plot_curves(plot, folder / f"{name}.{ending}")
        for place, timing in enumerate(summary.timings, 1):
            name = f"speed-{place}" if place > 1 else "speed"
            plot_timing(timing, folder / f"{name}.{ending}")


def _plan_plot(summary: ArtifactSummary) -> Plot | None:
    """Return the agreement of plan candidates over their MACs."""
    if not summary.candidates:
        return None
    report, candidates = summary.report, summary.candidates
    decided = all(candidate.score.agreement is not None for candidate in candidates)
    curves = [
        _candidates("chosen per layer", [c for c in candidates if not c.uniform], "ghost"),
        _candidates("one s for all layers", [c for c in candidates if c.uniform], "original"),
    ]
    score = report.fidelity.score if report.fidelity else None
    if score is not None and (score.agreement is not None) == decided:
        points = _points([(sum(row.macs[1] for row in report.sites), _kept(score))])
        curves.append(Curve("this network", points, "current", ("this network",)))
    agreement = f"share of images with the {report.same} as the original"
    label = agreement if decided else "relative error"
    shown = tuple(curve for curve in curves if curve.points)
    return Plot(label.capitalize(), "MACs of the convolutions", label, shown, percent=decided)


def _loss_plot(recovery: Recovery | None) -> Plot | None:
    """Return the training loss by epoch."""
    history = recovery.history if recovery else ()
    points = _points((record["epoch"], record.get("loss")) for record in history)
    if not points:
        return None
    return Plot("Loss", "epoch", "loss", (Curve("this network", points, "ghost", line=True),))


def _score_plot(recovery: Recovery | None) -> Plot | None:
    """Return the metric that decides, or the agreement instead of a divergence, by epoch."""
    if recovery is None or recovery.recovered is None or not recovery.history:
        return None
    metric = recovery.recovered.decisive
    if metric == "kl":
        metric = "agreement"
    label = METRIC_TEXTS[metric].name
    epochs = [(r["epoch"], (r.get("score") or {}).get(metric)) for r in recovery.history]
    points = _points([(0, getattr(recovery.converted, metric, None)), *epochs])
    curves = [Curve("this network", points, "ghost", line=True)]
    original = getattr(recovery.original, metric, None)
    if original is not None and points:
        ends = ((0.0, original), (points[-1][0], original))
        curves.append(Curve("original", ends, "original", line=True))
    return Plot(label, "epoch", label, tuple(curves), percent=METRIC_TEXTS[metric].is_share)


def _points(pairs: Iterable[tuple[Any, Any]]) -> tuple[tuple[float, float], ...]:
    return tuple((float(x), float(y)) for x, y in pairs if _is_drawn(y))


def _is_drawn(value: float | None) -> bool:
    """Return whether a value is known and finite: the loss of an epoch may not be."""
    return value is not None and abs(value) < _LARGEST


def _kept(score: Score) -> float | None:
    return score.relative_error if score.agreement is None else score.agreement


def _candidates(name: str, candidates: list[PlanCandidate], role: str) -> Curve:
    candidates = [c for c in candidates if _is_drawn(_kept(c.score))]
    points = _points((c.macs, _kept(c.score)) for c in candidates)
    tooltips = tuple(f"{c.plan}\n{si(c.macs)} MACs, {_kept(c.score):.1%}" for c in candidates)
    return Curve(name, points, role, tooltips)
