"""The order of the trials of a compression, until its time is up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ghostify.compression.next_share import next_share
from ghostify.compression.trial_runner import TrialRunner
from ghostify.planning.budget import Budgets
from ghostify.types import GhostifyError, Trial

_FITTING, _TRAINING, _RETRYING = 0.3, 0.5, 0.65
"""Shares of the time after which no more networks are fitted, trained, or trained for longer."""

_SLICE, _LONGER = 0.1, 0.2
"""Shares of the time that a network is trained for to be compared."""

_GAIN = 2.0
"""By which factor a little training is expected to lower a drop."""

_HOPELESS, _FAR = 5.0, 10.0
"""A fitted network that lost more than so many times the drop, or points more, is not trained."""


@dataclass
class BudgetSearch:
    """Finds the network of least cost within a drop of the accuracy.

    Attributes:
        runner: runs the trials.
        max_drop: allowed loss of accuracy in percentage points; inf if the budget is given.
        minutes: time for everything.
    """

    runner: TrialRunner
    max_drop: float
    minutes: float

    def run(self, budget: Budgets | None = None) -> Trial:
        """Return the trial to hand over, trained for the time that is left.

        It is the one of least cost within the drop or, if none is, the one with the least drop;
        with a budget the only one.

        Raises:
            GhostifyError: if no plan costs less than the original, or is within the budget.
        """
        if budget is None:
            self._fit()
            self._train()
            self._retry()
        elif not self.runner.record.tried:
            self.runner.convert(budget)
        return self._finish(self.best())

    def best(self) -> Trial:
        """Return the trial of least cost within the drop; if none is, the one of least drop."""
        tried = self.runner.record.tried
        if not tried:
            raise GhostifyError("no plan costs less than the original: `analyze` says why")
        nearest = min(tried, key=lambda trial: trial.drop)
        return min(self._met(tried), key=lambda t: (_cost(t), t.drop), default=nearest)

    def _fit(self) -> None:
        """Search the budget with networks that are only fitted, for longer until one is met."""
        while True:
            drops = {t.share: t.drop for t in self.runner.record.tried if not t.is_trained}
            share = self._next(drops)
            met = any(drop <= self.max_drop for drop in drops.values())
            if share is None or not self._is_before(_FITTING if met else _TRAINING):
                return
            self.runner.convert_to(share)

    def _train(self) -> None:
        """Search below the best so far, and train a little what misses the drop."""
        while self._is_before(_TRAINING):
            share = self._next(self._drops_after_training())
            if share is None:
                return
            fitted = self.runner.convert_to(share)
            if fitted.drop > self.max_drop and not self._is_hopeless(fitted):
                self.runner.train(fitted, _SLICE * self.minutes)

    def _drops_after_training(self) -> dict[float | None, float]:
        """Return known drops by share, after a little training of what needs it."""
        drops = {}
        for trial in self.runner.record.tried:
            if trial.is_trained or self._is_hopeless(trial):
                drops[trial.share] = trial.drop
            elif trial.drop <= self.max_drop:
                drops[trial.share] = trial.drop / _GAIN
        return drops

    def _retry(self) -> None:
        """Train for longer what is smaller than the best so far, and missed the drop by little."""
        cost = _cost(self.best())
        trained = (trial for trial in self.runner.record.tried if trial.is_trained)
        missed = (t for t in trained if t.drop > self.max_drop and _cost(t) < cost)
        nearest = min(missed, key=lambda trial: trial.drop, default=None)
        if nearest and nearest.drop < 2 * self.max_drop and self._is_before(_RETRYING):
            self.runner.train(nearest, _LONGER * self.minutes)

    def _finish(self, trial: Trial) -> Trial:
        """Train a trial for the rest of the time, if there is enough; return the better one.

        The drop decides, as in the search: a training by distillation may lower the divergence from
        the original, and agree with it on fewer images.
        """
        left = self.minutes - self.runner.record.seconds / 60
        if left < _SLICE * self.minutes:
            return trial
        trained = self.runner.train(trial, left)
        return min(trial, trained, key=lambda t: (t.drop, t.score.divergence))

    def _next(self, drops: Mapping[float | None, float]) -> float | None:
        """Return the share to try next."""
        known = {share: drop for share, drop in drops.items() if share is not None}
        return next_share(known, self.max_drop, self.runner.predicted_loss)

    def _met(self, trials: Sequence[Trial]) -> list[Trial]:
        return [trial for trial in trials if trial.drop <= self.max_drop]

    def _is_hopeless(self, trial: Trial) -> bool:
        """Whether a little training will not bring a network within the drop."""
        return trial.drop > min(_HOPELESS * self.max_drop, _FAR + self.max_drop)

    def _is_before(self, share: float) -> bool:
        """Whether less than this share of the time is spent, or nothing was tried."""
        record = self.runner.record
        return not record.tried or record.seconds < share * 60 * self.minutes


def _cost(trial: Trial) -> float:
    """Return the latency relative to the original's, or the MACs."""
    return 1 / trial.speedup if trial.speedup else trial.macs
