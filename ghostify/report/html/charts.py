"""Charts of an artifact, in the page and as files."""

from __future__ import annotations

from pathlib import Path

from ghostify.report.charts import Curve, Plot
from ghostify.report.document import si
from ghostify.report.html.summary import ArtifactSummary
from ghostify.report.layer_bars import layer_bars
from ghostify.report.plots import plot_curves, plot_layers, plot_timing
from ghostify.report.recovery_plots import is_drawn, loss_plot, points, score_plot
from ghostify.types import PlanCandidate, Score


def page_plots(summary: ArtifactSummary) -> dict[str, Plot]:
    """Return the charts that there are values for, by file name."""
    plots = {
        **(summary.compression.plots() if summary.compression else {}),
        "plans": _plan_plot(summary),
        "recovery-loss": loss_plot(summary.recipe.recovery),
        "recovery-score": score_plot(summary.recipe.recovery),
    }
    return {name: plot for name, plot in plots.items() if plot is not None}


def write_plots(summary: ArtifactSummary, folder: Path) -> None:
    """Write each chart that there are values for to ``folder``, as PNG and as SVG."""
    folder.mkdir(parents=True, exist_ok=True)
    for ending in ("png", "svg"):
        for name, unit in (("macs", "MACs"), ("params", "parameters")):
            bars = layer_bars(summary.report.sites, unit)
            plot_layers(bars, folder / f"{name}.{ending}", unit=unit)
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
        places = points([(sum(row.macs[1] for row in report.sites), _kept(score))])
        name = "this network" if summary.is_as_converted else "this network, before training"
        curves.append(Curve(name, places, "current", (name,)))
    agreement = f"share of images with the {report.same} as the original"
    label = agreement if decided else "relative error"
    shown = tuple(curve for curve in curves if curve.points)
    return Plot(label.capitalize(), "MACs of the convolutions", label, shown, percent=decided)


def _kept(score: Score) -> float | None:
    return score.relative_error if score.agreement is None else score.agreement


def _candidates(name: str, candidates: list[PlanCandidate], role: str) -> Curve:
    candidates = [c for c in candidates if is_drawn(_kept(c.score))]
    places = points((c.macs, _kept(c.score)) for c in candidates)
    tooltips = tuple(f"{c.plan}\n{si(c.macs)} MACs, {_kept(c.score):.1%}" for c in candidates)
    return Curve(name, places, role, tooltips)
