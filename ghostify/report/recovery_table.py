"""Scores and epochs of a recovery training, as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ghostify.report.document import Column, Document, Table, numeric
from ghostify.report.metric_texts import METRIC_TEXTS, format_metric, known_metrics
from ghostify.types import Recovery, Score

_ENDED = {"minutes": "the given minutes were over", "patience": "no further epoch was better"}


def list_recovery(recovery: Recovery) -> Document:
    """Return the scores of the networks, a row for each epoch, and how it was trained."""
    history = recovery.history
    notes = [f"ended early: {why}" for why in [_ENDED.get(recovery.ended)] if why]
    notes += recovery.notes()
    return Document(
        title=f"Recovery: {len(history)} {'epoch' if len(history) == 1 else 'epochs'}, "
        f"{recovery.steps} steps on {recovery.images} images, {_time(recovery.seconds)}",
        tables=tuple(filter(None, (_scores(recovery), _epochs(recovery)))),
        notes=tuple(notes),
        records=tuple(map(_record, history)),
        data=recovery.to_dict(),
    )


def _scores(recovery: Recovery) -> Table | None:
    networks = ("original", "converted", "recovered")
    scores = {name: score for name in networks if (score := getattr(recovery, name)) is not None}
    if not scores:
        return None
    metrics = known_metrics(*scores.values())
    rows = tuple(
        (name, *(format_metric(score, metric) for metric in metrics))
        for name, score in scores.items()
    )
    headings = (METRIC_TEXTS[metric].heading for metric in metrics)
    images = next(iter(scores.values())).images
    return Table(f"Scores on {images} images", (Column("network"), *numeric(*headings)), rows)


def _epochs(recovery: Recovery) -> Table | None:
    history = recovery.history
    if not history:
        return None
    scores = [Score(**record["score"]) if record.get("score") else None for record in history]
    metrics = _shown([score for score in scores if score is not None])
    staged = any("stage" in record for record in history)
    rows = []
    for record, score in zip(history, scores, strict=True):
        cells = [str(record["epoch"])]
        cells += [str(record.get("stage", "-"))] if staged else []
        cells += [_time(record["seconds"]) if "seconds" in record else "-"]
        cells += [f"{record[key]:.3g}" if key in record else "-" for key in ("lr", "loss")]
        cells += [format_metric(score, metric) if score else "-" for metric in metrics]
        rows.append((*cells, "kept" if record["epoch"] == recovery.best_epoch else ""))
    headings = (METRIC_TEXTS[metric].heading for metric in metrics)
    stage = ("stage",) if staged else ()
    columns = (Column("epoch"), *numeric(*stage, "time", "lr", "loss", *headings), Column(""))
    title = "Epochs, scored on the images that choose" if metrics else "Epochs"
    return Table(title, columns, tuple(rows))


def _shown(scores: Sequence[Score]) -> list[str]:
    """Return the metric that decides, and the agreement."""
    decisive = {score.decisive for score in scores if score.is_comparable}
    return [metric for metric in known_metrics(*scores) if metric in decisive | {"agreement"}]


def _record(epoch: Mapping[str, Any]) -> dict[str, Any]:
    score = asdict(Score(**(epoch.get("score") or {"images": 0})))
    keys = ("epoch", "stage", "phase", "step", "seconds", "lr")
    return {key: epoch.get(key) for key in keys} | {"training_loss": epoch.get("loss")} | score


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d} min" if minutes else f"{seconds:.3g} s"
