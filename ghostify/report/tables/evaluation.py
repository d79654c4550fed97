"""How well networks do on the same images, as a table."""

from __future__ import annotations

from dataclasses import asdict, fields

from ghostify.report.document import Column, Document, Table, si
from ghostify.types import Evaluation, EvaluationRow, Score

_HEADINGS = {
    "top1": "top-1",
    "top5": "top-5",
    "loss": "loss",
    "agreement": "agree",
    "kl": "KL",
    "relative_error": "error",
}
_SHARES = ("top1", "top5", "agreement", "relative_error")
_MEANINGS = {
    "loss": "loss: cross-entropy with the labels, nats an image.",
    "agreement": "agree: images whose most likely class is the original's.",
    "kl": "KL: divergence from the original's probabilities, nats an image.",
    "relative_error": "error: squared error of the outputs over the original's square.",
}


def list_evaluation(evaluation: Evaluation, *, model: str) -> Document:
    """One row and one record a network; columns are what could be said of one at least."""
    standings = evaluation.standings
    shown = [
        field.name
        for field in fields(Score)
        if field.name in _HEADINGS
        and any(getattr(s.score, field.name) is not None for s in standings.values())
    ]
    headings = ["MACs", "params", *(_HEADINGS[name] for name in shown)]
    columns = (Column("network"), *(Column(heading, numeric=True) for heading in headings))
    rows = tuple((name, *_cells(standing, shown)) for name, standing in standings.items())
    images = max((standing.score.images for standing in standings.values()), default=0)
    what = "held out of the training images" if evaluation.held_out else "not trained on"
    return Document(
        title=f"{model} on {evaluation.data}: {images} images {what}",
        tables=(Table("Scores", columns, rows),),
        notes=tuple(_MEANINGS[name] for name in shown if name in _MEANINGS),
        records=tuple(
            {"network": name, "macs": s.macs, "params": s.params, **asdict(s.score)}
            for name, s in standings.items()
        ),
        data={"model": model, **evaluation.to_dict()},
    )


def _cells(standing: EvaluationRow, shown: list[str]) -> list[str]:
    cells = [si(standing.macs), si(standing.params)]
    for name in shown:
        value = getattr(standing.score, name)
        if value is None:
            cells.append("-")
        else:
            cells.append(f"{value:.2%}" if name in _SHARES else f"{value:.3g}")
    return cells
