"""What a compression tried and found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import attrgetter

from ghostify.report.changes import cost_change, latency_change
from ghostify.report.charts import Curve, Plot
from ghostify.report.document import Column, Document, Table, numeric, si
from ghostify.report.evaluation import Evaluation
from ghostify.report.formats import Printable
from ghostify.report.metric_texts import METRIC_TEXTS, format_metric, shown_metric
from ghostify.report.recovery_plots import is_drawn, points
from ghostify.report.runtime_titles import runtime_title
from ghostify.report.svg import captioned
from ghostify.report.timing import Timing
from ghostify.types import GhostifyError, Score, Trial
from ghostify.types.constraints import NonNegativeFloat
from ghostify.types.serialization import Serializable
from ghostify.types.trial import check_comparable


@dataclass(frozen=True)
class Compression(Serializable, Printable):
    """Result of `compress`. ``print(compression)`` shows a table.

    Attributes:
        max_drop: allowed loss of accuracy in percentage points; None if a budget was given.
        runtime: the runtime that networks were timed in, or None.
        original: the original, scored on the validation images.
        tried: the networks that were tried, in order.
        best: the one that was saved.
        evaluation: the original and the saved network on test images.
        timing: latency of both in the runtime, or else in PyTorch.
        is_independent: whether the test images are others than the validation images.
        exported: score of the INT8 file on the test images, or None.
    """

    max_drop: NonNegativeFloat | None
    runtime: str | None
    original: Trial
    tried: tuple[Trial, ...]
    best: Trial
    evaluation: Evaluation
    timing: Timing
    is_independent: bool
    exported: Score | None = None

    def __post_init__(self) -> None:
        check_comparable((self.original, *self.tried, self.best))
        if len(self.evaluation.rows) < 2 or len(self.timing.measurements) != 2:
            raise GhostifyError("`evaluation` and `timing` must be of the original and another")

    @property
    def is_met(self) -> bool:
        """Whether the saved network is within the drop, on the validation images."""
        return self.max_drop is None or self.best.drop <= self.max_drop

    @property
    def drop(self) -> float:
        """Loss of accuracy on the test images, in percentage points; of the INT8 file if any."""
        return self._last.drop_from(self._first)

    @property
    def standard_error(self) -> float | None:
        """Standard error of ``drop`` (`Score.standard_error`)."""
        return self._last.standard_error

    @property
    def metric(self) -> str:
        """Name in `Score` of the metric that is shown."""
        return _metric(self.original)

    def document(self) -> Document:
        """Return a table of the trials by cost, and what was gained and lost."""
        trials = sorted([self.original, *self.tried], key=lambda t: (-t.macs, t.minutes))
        rows = [tuple(trial_cells(trial, is_saved=trial == self.best)) for trial in trials]
        columns = trial_columns(self.original)
        return Document(
            title="Compression",
            tables=(Table("Trials, on validation images", columns, tuple(rows)),),
            notes=tuple(self.summary()),
            records=tuple(trial.to_dict() for trial in trials),
            data=self.to_dict(),
        )

    def summary(self) -> Iterator[str]:
        """Yield a line with what was gained, and one with what was lost."""
        original, *_, saved = self.evaluation.rows.values()
        gained = [f"{cost_change(original.macs, saved.macs).text} MACs"]
        gained += [f"{cost_change(original.params, saved.params).text} parameters"]
        _, timed = self.timing.measurements
        speed, lost = latency_change(timed.speedup.median), self._lost()
        text = f"{speed.text} in {runtime_title(timed.runtime)}"
        if speed.worse:
            lost = f"{text}; {lost}"
        else:
            gained.append(text)
        yield f"Gained: {', '.join(gained)}."
        yield f"Lost: {lost}"

    def plots(self) -> dict[str, Plot]:
        """Return the trade-off curves by file name: accuracy over MACs, and over latency."""
        plots = {"trade-off-macs": self._plot("MACs", lambda trial: trial.macs)}
        if self.runtime is not None:
            label = f"latency in {runtime_title(self.runtime)} (ms)"
            plots["trade-off-latency"] = self._plot(label, lambda t: 1e3 * (t.latency or 0.0))
        return plots

    def charts(self) -> list[tuple[str, str]]:
        """Return the trade-off curves for notebooks."""
        return [captioned(plot) for plot in self.plots().values()]

    @property
    def _first(self) -> Score:
        return next(iter(self.evaluation.rows.values())).score

    @property
    def _last(self) -> Score:
        return self.exported or list(self.evaluation.rows.values())[-1].score

    def _lost(self) -> str:
        before, after = (format_metric(score, self.metric) for score in (self._first, self._last))
        name = METRIC_TEXTS[self.metric].heading
        error = "" if self.standard_error is None else f" ± {self.standard_error:.2f}"
        points = f"{self.drop:.2f}{error} points" if self.drop > 0 else f"nothing{error} points"
        images = "test images" if self.is_independent else "images, which also chose it"
        text = f"{points} ({name} {before} to {after})"
        text += f" on {self._last.images} {images}."
        if not self.is_met:
            return f"{text} No network was within {self.max_drop:g} points; this is the nearest."
        if self.max_drop is not None and self.drop > self.max_drop:
            return (
                f"{text} That is more than the {self.max_drop:g} allowed, which it kept on "
                f"{self.best.score.images} validation images."
            )
        return text

    def _plot(self, x: str, cost: Callable[[Trial], float]) -> Plot:
        text, metric = METRIC_TEXTS[self.metric], attrgetter(f"score.{self.metric}")

        def curve(name: str, trials: list[Trial], role: str, *, line: bool = False) -> Curve:
            drawn = [t for t in trials if is_drawn(cost(t)) and is_drawn(metric(t))]
            drawn.sort(key=cost)
            tips = tuple(f"{t.budget}: {format_metric(t.score, self.metric)}" for t in drawn)
            return Curve(name, points((cost(t), metric(t)) for t in drawn), role, tips, line)

        fitted = [self.original, *(trial for trial in self.tried if not trial.is_trained)]
        trained = [trial for trial in self.tried if trial.is_trained]
        curves = (
            curve("before training", fitted, "original", line=True),
            curve("after training", trained, "ghost"),
            curve("original", [self.original], "reference"),
            curve("saved", [self.best], "current"),
        )
        return Plot(text.name, x, text.name, tuple(c for c in curves if c.points), text.is_share)


def trial_columns(trial: Trial) -> tuple[Column, ...]:
    """Return the columns of a table of trials like this one."""
    metric = _metric(trial)
    latency = ["latency", "speed-up"] if trial.latency else []
    headings = ("MACs", "params", *latency, METRIC_TEXTS[metric].heading, "drop", "trained")
    return (Column("budget"), *numeric(*headings))


def trial_cells(trial: Trial, *, is_saved: bool = False) -> Iterator[str]:
    """Yield a row of a table of trials; drops are in percentage points."""
    yield f"{trial.budget} (saved)" if is_saved else trial.budget
    yield from (si(trial.macs), si(trial.params))
    if trial.latency and trial.speedup:
        yield from (f"{1e3 * trial.latency:.3g} ms", f"{trial.speedup:.2f}x")
    yield format_metric(trial.score, _metric(trial))
    yield f"{trial.drop:.2f}"
    yield f"{trial.minutes:.1f} min" if trial.is_trained else "-"


def _metric(trial: Trial) -> str:
    """Return the name in `Score` of the metric that is shown."""
    metric = shown_metric([trial.score])
    assert metric is not None  # trials are compared with the original
    return metric
