"""Scores and costs of several networks on the same images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import takewhile

from ghostify.report.document import Column, Document, Table, numeric, si
from ghostify.report.formats import Printable
from ghostify.report.metric_texts import (
    METRIC_TEXTS,
    definitions,
    format_metric,
    known_metrics,
    shown_metric,
)
from ghostify.report.svg import meter_svg
from ghostify.types import Outputs, Score
from ghostify.types.constraints import NonNegativeInt
from ghostify.types.serialization import Serializable

UNNAMED = "data"
"""Name of data without one, such as a DataLoader's."""


@dataclass(frozen=True, slots=True)
class EvaluationRow:
    """Score and costs of one network.

    Attributes:
        score: metrics on the images of the evaluation.
        macs: MACs of convolutions and linear layers, for one input.
        params: number of parameters.
    """

    score: Score
    macs: NonNegativeInt
    params: NonNegativeInt


@dataclass(frozen=True, slots=True)
class Evaluation(Serializable, Printable):
    """Networks on the same images. ``print(evaluation)`` shows a table.

    Attributes:
        data: name of the data source.
        held_out: number of images held out from the training set; 0 if the source has a
            validation set.
        outputs: what the outputs of the networks are.
        rows: by name, in the order in which they were made: ``original``, ``converted``,
            ``recovered``. The last row is that of the current weights.
        seen: whether a network was calibrated or trained on some of the images.
    """

    data: str
    held_out: NonNegativeInt
    rows: Mapping[str, EvaluationRow] = field(default_factory=dict)
    outputs: Outputs | None = None
    seen: bool = False

    def including(self, earlier: Evaluation) -> Evaluation:
        """Return this evaluation with the rows of an earlier one on the same images before it.

        Rows of the earlier evaluation from the last network of this one on are dropped: they are
        of other weights.
        """
        images = {row.score.images for row in self.rows.values()}
        same = all(getattr(earlier, n) == getattr(self, n) for n in ("data", "held_out", "seen"))
        if not same or any(row.score.images not in images for row in earlier.rows.values()):
            return self
        last = list(self.rows)[-1]
        before = dict(takewhile(lambda entry: entry[0] != last, earlier.rows.items()))
        return replace(self, rows={**before, **self.rows})

    def document(self, model: str = "") -> Document:
        """Return a table with a row for each network and a column for each known metric."""
        scores = [row.score for row in self.rows.values()]
        known = self._metrics
        headings = ("MACs", "params", *(METRIC_TEXTS[metric].heading for metric in known))
        rows, records = [], []
        for name, row in self.rows.items():
            cells = (format_metric(row.score, metric) for metric in known)
            rows.append((name, si(row.macs), si(row.params), *cells))
            costs = {"network": name, "macs": row.macs, "params": row.params}
            records.append({**costs, **asdict(row.score)})
        images = max((score.images for score in scores), default=0)
        which = " held out from the training set" if self.held_out else ""
        which += ", some of them seen in training" if self.seen else ""
        return Document(
            title=f"{model} on {self.data}: {images} images{which}".removeprefix(" on "),
            tables=(Table("Scores", (Column("network"), *numeric(*headings)), tuple(rows)),),
            notes=tuple(self._notes()),
            records=tuple(records),
            data={"model": model, **self.to_dict()},
        )

    def charts(self) -> Sequence[tuple[str, str]]:
        """Return a bar for each network's metric that decides, with a mark at the original's."""
        scores = {name: row.score for name, row in self.rows.items()}
        metric = shown_metric(scores.values())
        if metric is None or not METRIC_TEXTS[metric].is_share:
            return ()
        charts = []
        mark = getattr(next(iter(scores.values())), metric) or 0.0
        for name, score in scores.items():
            caption = f"{METRIC_TEXTS[metric].name}, {name}: {format_metric(score, metric)}"
            charts.append((caption, meter_svg(getattr(score, metric) or 0.0, mark, 1.0, caption)))
        return charts

    def definitions(self) -> dict[str, str]:
        """Return what the headings of the metrics mean."""
        return definitions(self._metrics, self.outputs)

    @property
    def _metrics(self) -> list[str]:
        return known_metrics(*(row.score for row in self.rows.values()))

    def _notes(self) -> Iterator[str]:
        if self.outputs is not None:
            yield f"Outputs: {self.outputs}."
        yield from (f"{term}: {meaning}" for term, meaning in self.definitions().items())
