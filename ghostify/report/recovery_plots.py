"""Charts of a recovery training."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ghostify.report.charts import Curve, Plot
from ghostify.report.metric_texts import METRIC_TEXTS, shown_metric
from ghostify.types import Recovery

_LARGEST = 1e99
"""Limit of what is drawn."""


def loss_plot(recovery: Recovery | None) -> Plot | None:
    """Return the training loss by epoch."""
    if recovery is None:
        return None
    places = points((record["epoch"], record.get("loss")) for record in recovery.history)
    if not places:
        return None
    curves = (Curve("this network", places, "ghost", line=True), *_kept(recovery, places))
    return Plot("Loss", "epoch", "loss", curves, whole=True)


def score_plot(recovery: Recovery | None) -> Plot | None:
    """Return the metric that decides, or the agreement instead of a divergence, by epoch.

    Epochs are scored on the images that choose; the original may be scored on others.
    """
    if recovery is None or recovery.recovered is None or not recovery.history:
        return None
    metric = shown_metric([recovery.recovered])
    if metric is None:
        return None
    label = METRIC_TEXTS[metric].name
    epochs = [(r["epoch"], (r.get("score") or {}).get(metric)) for r in recovery.history]
    selection = recovery.selection
    given = selection.given if selection else recovery.converted
    places = points([(0, getattr(given, metric, None)), *epochs])
    curves = [Curve("this network", places, "ghost", line=True)]
    original = getattr(recovery.original, metric, None)
    if original is not None and places:
        ends = ((0.0, original), (places[-1][0], original))
        name = "original, on other images" if selection and selection.others else "original"
        curves.append(Curve(name, ends, "original", line=True))
    curves += _kept(recovery, places)
    percent = METRIC_TEXTS[metric].is_share
    return Plot(label, "epoch", label, tuple(curves), percent=percent, whole=True)


def _kept(recovery: Recovery, places: Sequence[tuple[float, float]]) -> list[Curve]:
    """Mark the epoch whose weights are returned."""
    kept = tuple(place for place in places if place[0] == recovery.best_epoch)
    name = f"epoch {recovery.best_epoch}, kept" if recovery.best_epoch else "as given, kept"
    return [Curve(name, kept, "current", (name,))] if kept else []


def points(pairs: Iterable[tuple[Any, Any]]) -> tuple[tuple[float, float], ...]:
    """Return the points that can be drawn."""
    return tuple((float(x), float(y)) for x, y in pairs if is_drawn(y))


def is_drawn(value: float | None) -> bool:
    """Return whether a value is known and finite: the loss of an epoch may not be."""
    return value is not None and abs(value) < _LARGEST
