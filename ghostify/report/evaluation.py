"""Scores and costs of several networks on the same images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import takewhile

from ghostify.report.document import Column, Document, Table, numeric, si
from ghostify.report.formats import Printable
from ghostify.types import Score
from ghostify.types.serialization import Serializable


@dataclass(frozen=True, slots=True)
class EvaluationRow:
    """Score and costs of one network.

    Attributes:
        score: metrics on the images of the evaluation.
        macs: MACs of convolutions and linear layers, for one input.
        params: number of parameters.
    """

    score: Score
    macs: int
    params: int


@dataclass(frozen=True, slots=True)
class Evaluation(Serializable, Printable):
    """Networks on the same images. ``print(evaluation)`` shows a table.

    Attributes:
        data: name of the data source.
        held_out: number of images held out from the training set; 0 if the source has a
            validation set.
        rows: by name, in order of their making: ``original``, ``converted``, ``recovered``. The
            last row is that of the current weights.
    """

    data: str
    held_out: int
    rows: Mapping[str, EvaluationRow] = field(default_factory=dict)

    def including(self, earlier: Evaluation) -> Evaluation:
        """Return this evaluation with the rows of an earlier one on the same images before it.

        Rows of the earlier evaluation from the last network of this one on are dropped: they are
        of other weights.
        """
        images = {row.score.images for row in self.rows.values()}
        if (earlier.data, earlier.held_out) != (self.data, self.held_out) or any(
            row.score.images not in images for row in earlier.rows.values()
        ):
            return self
        last = list(self.rows)[-1]
        before = dict(takewhile(lambda entry: entry[0] != last, earlier.rows.items()))
        return Evaluation(self.data, self.held_out, {**before, **self.rows})

    def document(self, model: str = "") -> Document:
        """Return a table with a row for each network and a column for each known metric."""
        scores = [row.score for row in self.rows.values()]
        known = [m for m in _METRICS if any(getattr(score, m) is not None for score in scores)]
        headings = ("MACs", "params", *(_METRICS[metric][0] for metric in known))
        rows, records = [], []
        for name, row in self.rows.items():
            cells = (_cell(row.score, metric) for metric in known)
            rows.append((name, si(row.macs), si(row.params), *cells))
            costs = {"network": name, "macs": row.macs, "params": row.params}
            records.append({**costs, **asdict(row.score)})
        images = max((score.images for score in scores), default=0)
        held_out = " held out from the training set" if self.held_out else ""
        return Document(
            title=f"{model} on {self.data}: {images} images{held_out}".removeprefix(" on "),
            tables=(Table("Scores", (Column("network"), *numeric(*headings)), tuple(rows)),),
            notes=tuple(filter(None, (_METRICS[metric][2] for metric in known))),
            records=tuple(records),
            data={"model": model, **self.to_dict()},
        )


_METRICS = {
    "top1": ("top-1", ".2%", ""),
    "top5": ("top-5", ".2%", ""),
    "loss": ("loss", ".3g", "loss: cross-entropy with the labels, in nats per image."),
    "agreement": (
        "agree", ".2%", "agree: share of images with the same top-1 class as the original."
    ),
    "kl": ("KL", ".3g", "KL: divergence from the original's probabilities, in nats per image."),
    "relative_error": (
        "error", ".2%", "error: squared error of the outputs divided by their squared norm."
    ),
}  # fmt: skip
"""Heading, format and note of each metric of a `Score`."""


def _cell(score: Score, metric: str) -> str:
    value = getattr(score, metric)
    return "-" if value is None else format(value, _METRICS[metric][1])
