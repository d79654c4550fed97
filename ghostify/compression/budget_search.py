"""The order of the trials of a compression, until its time is up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ghostify.compression.next_share import next_share
from ghostify.compression.trial_runner import TrialRunner
from ghostify.planning.budget import Budgets
from ghostify.types import GhostifyError, Trial

_FITTING, _TRAINING, _RETRYING = 0.3, 0.5, 0.65
"""Shares of the time after which no more networks are fitted, trained, or trained for longer."""

_SLICE, _LONGER = 0.1, 0.2
"""Shares of the time that a network is trained for to be compared."""

_GAIN, _MOST = 2.0, 4.0
"""By which factor a little training lowers a drop, before any is known, and at most."""

_AMBITION = 1.5
"""A network that lost so many times the drop after a little training is trained for longer."""

_TINY = 1e-9


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
        """Try and train networks, and return the trial to hand over.

        With a budget, it is that network, with the better of its weights.

        Raises:
            GhostifyError: if no plan costs less than the original, or is within the budget.
        """
        if budget is None:
            self._fit()
            self._train()
            self._retry()
        elif not self.runner.record.tried:
            self.runner.convert(budget)
        self._finish()
        return self.best()

    def best(self) -> Trial:
        """Return the trial of least cost within the drop; if none is, the one of least drop.

        Of equal costs, the drop decides: a training by distillation may lower the divergence from
        the original, and agree with it on fewer images.
        """
        tried = self.runner.record.tried
        if not tried:
            raise GhostifyError("no plan costs less than the original: `analyze` says why")
        met = [trial for trial in tried if trial.drop <= self.max_drop]
        return min(
            met or tried, key=lambda t: (self._cost(t) if met else 0, t.drop, t.score.divergence)
        )

    def _fit(self) -> None:
        """Search the budget with networks that are only fitted, for longer until one is met."""
        while True:
            drops = {share: trial.drop for share, trial in self._fitted().items()}
            share = self._next(drops, self.max_drop)
            met = any(drop <= self.max_drop for drop in drops.values())
            if share is None or not self._is_before(_FITTING if met else _TRAINING):
                return
            self.runner.convert_to(share)

    def _train(self) -> None:
        """Search for what more training may bring within the drop; train a little where needed."""
        while self._is_before(_TRAINING):
            drops = self._expected_drops()
            near = [share for share, drop in drops.items() if drop <= self._limit]
            trial = self._last()[min(near)] if near else None
            if trial and trial.drop > self._limit:
                self.runner.train(trial, _SLICE * self.minutes)
            elif (share := self._next(drops, self._limit)) is None:
                return
            else:
                self.runner.convert_to(share)

    def _retry(self) -> None:
        """Train the smallest of these for longer, until it is within the drop."""
        while self._is_before(_RETRYING):
            drops, cost = self._expected_drops(), self._cost(self.best())
            near = [t for share, t in self._last().items() if drops[share] <= self._limit]
            smallest = min(near, key=self._cost, default=None)
            if smallest is None or self._cost(smallest) >= cost:
                return
            self.runner.train(smallest, _LONGER * self.minutes)

    def _expected_drops(self) -> dict[float, float]:
        """Return drops by share: after the training that was, or else after one that may be."""
        trained = {share: t.drop for share, t in self._last().items() if t.is_trained}
        return self._drops_after_training() | trained

    def _drops_after_training(self) -> dict[float, float]:
        """Return the drops, by share, to expect of a training of fitted networks."""
        gain = self._gain()
        return {share: min(t.drop, t.drop / gain) for share, t in self._fitted().items()}

    def _gain(self) -> float:
        """Return by which factor a training lowers a drop: by as much as the last one."""
        fitted, gain = self._fitted(), _GAIN
        for share, trial in self._shares():
            if trial.is_trained and fitted[share].drop > 0:
                gain = fitted[share].drop / max(trial.drop, _TINY)
        return min(max(gain, 1.0), _MOST)

    def _fitted(self) -> dict[float, Trial]:
        """Return the first trial of each share, which is not trained yet."""
        return dict(reversed([*self._shares()]))

    def _last(self) -> dict[float, Trial]:
        """Return the last trial of each share."""
        return dict(self._shares())

    def _shares(self) -> Iterator[tuple[float, Trial]]:
        return ((t.share, t) for t in self.runner.record.tried if t.share is not None)

    def _finish(self) -> None:
        """Train the smallest that this should bring within the drop for the rest of the time."""
        left = self.minutes - self._spent / 60
        if left >= _SLICE * self.minutes:
            drops = self._drops_after_training()
            near = [t for s, t in self._last().items() if min(drops[s], t.drop) <= self.max_drop]
            self.runner.train(min([*near, self.best()], key=self._cost), left)

    @property
    def _limit(self) -> float:
        """Drop after a little training that more training may bring within ``max_drop``.

        It is at least one image more.
        """
        original = self.runner.record.original
        one = 100 / original.score.images if original else 0.0
        return max(_AMBITION * self.max_drop, self.max_drop + one)

    def _next(self, drops: Mapping[float, float], max_drop: float) -> float | None:
        return next_share(drops, max_drop, self.runner.predicted_loss)

    def _is_before(self, share: float) -> bool:
        """Whether less than this share of the time is spent, or nothing was tried."""
        return not self.runner.record.tried or self._spent < share * 60 * self.minutes

    @property
    def _spent(self) -> float:
        """Seconds of this search, in this process and those that it resumes."""
        return max(self.runner.record.seconds - self.runner.record.finished, 0.0)

    def _cost(self, trial: Trial) -> float:
        """Return the latency relative to the original's, or the MACs.

        It is that of the first trial of a budget: later ones are the same network, timed again.
        """
        first = next(t for t in self.runner.record.tried if t.budget == trial.budget)
        return 1 / first.speedup if first.speedup else first.macs
