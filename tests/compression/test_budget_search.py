"""The order of trials, with a runner that only says what each would score."""

from dataclasses import replace
from math import inf

import pytest

from ghostify import GhostifyError
from ghostify.compression.budget_search import BudgetSearch
from ghostify.types import Score, Trial, Trials

ORIGINAL = Trial("original", "original", 1, 0, 1000, 100, Score(500, top1=0.9), 0, None, None, 60)


class Runner:
    """Networks lose ``loss(share)`` points, and less the longer they train; each takes a minute."""

    def __init__(self, loss, lowest=0.0, speedup=None):
        self.loss, self.lowest, self.speedup = loss, lowest, speedup
        self.record = Trials({}, replace(ORIGINAL, latency=speedup and 1.0))

    def predicted_loss(self, share):
        return steep(share) / 500 if share >= self.lowest else inf

    def convert_to(self, share):
        known = (t for t in self.record.tried if t.share == share and not t.is_trained)
        return next(known, None) or self._add(share, 0.0)

    def convert(self, budget):
        return self._add(0.5, 0.0)

    def train(self, trial, minutes):
        return self._add(trial.share, trial.minutes + minutes)

    def _add(self, share, minutes):
        drop = self.loss(share) / (1 + minutes / 10)
        score = Score(500, top1=0.9 - drop / 100)
        speedup = self.speedup and self.speedup(share)
        trial = Trial("", f"macs={share:.3g}", share, minutes, int(1000 * share), 10, score, drop,
                      speedup and 1 / speedup, speedup, 60)  # fmt: skip
        self.record = replace(self.record, tried=(*self.record.tried, trial))
        return trial


def steep(share):
    return 1 / share - 1


def fitted(runner):
    return [trial for trial in runner.record.tried if not trial.is_trained]


def test_the_smallest_that_holds_is_trained_for_the_rest():
    runner = Runner(steep)
    best = BudgetSearch(runner, max_drop=2, minutes=100).run()
    assert best.drop <= 2
    assert 0.1 <= best.share <= 0.2  # trained for a tenth, a share of 1/5 loses 2 points
    assert best == runner.record.tried[-1]


def test_a_smaller_one_that_missed_by_little_is_trained_for_longer():
    runner = Runner(steep)
    best = BudgetSearch(runner, max_drop=2, minutes=100).run()
    first, *_, retried, last = [t for t in runner.record.tried if t.share == best.share]
    assert first.drop / 2 > 2  # a tenth of the time halves it
    assert last == best
    assert last.minutes > retried.minutes >= 20


def test_a_network_that_missed_by_one_image_is_trained():
    runner = Runner(lambda share: 3.0 if share < 0.4 else 0.0, lowest=0.3)
    original = replace(ORIGINAL, score=Score(50, top1=0.9))
    runner.record = Trials({}, original)
    BudgetSearch(runner, max_drop=1, minutes=30).run()
    trained = [trial for trial in runner.record.tried if trial.is_trained]
    assert trained[0].share < 0.4
    assert trained[0].minutes == 6  # at once for longer: 3 points are expected to halve to 1.5


def test_what_training_has_gained_is_expected_of_the_next():
    class Slow(Runner):
        def train(self, trial, minutes):
            return self._add(trial.share, (trial.minutes + minutes) / 20)  # 5% less, not half

    runner = Slow(lambda share: 10 * steep(share))
    BudgetSearch(runner, max_drop=2, minutes=100).run()
    *briefly, _ = [trial for trial in runner.record.tried if trial.is_trained]
    assert 1 <= len({trial.share for trial in briefly}) <= 2
    fitted = {trial.share: trial.drop for trial in runner.record.tried if not trial.is_trained}
    assert all(fitted[trial.share] < 6 for trial in briefly)


def test_the_search_begins_where_the_drop_is_predicted():
    runner = Runner(steep)
    BudgetSearch(runner, max_drop=2, minutes=100).run()
    shares = [trial.share for trial in fitted(runner)]
    assert shares[:2] == [0.35, 0.331]  # 1/3 loses 2 points


def test_what_lost_far_too_much_is_not_trained_to_be_compared():
    runner = Runner(lambda share: 100 * (1 - share))
    best = BudgetSearch(runner, max_drop=4, minutes=30).run()
    trained = [trial.share for trial in runner.record.tried if trial.is_trained]
    assert min(trained) >= 0.88  # 0.88 loses three times as much as is allowed
    assert best.drop <= 4


def test_what_holds_without_training_is_not_trained_to_be_compared():
    runner = Runner(lambda share: 0.0)
    best = BudgetSearch(runner, max_drop=2, minutes=10).run()
    (last,) = [trial for trial in runner.record.tried if trial.is_trained]
    assert last.share == best.share


def test_a_training_that_loses_more_is_not_handed_over():
    class Worse(Runner):
        def _add(self, share, minutes):
            drop = 1.0 + (minutes > 0)
            score = Score(100, agreement=1 - drop / 100, kl=0.1 / (1 + minutes))
            trial = Trial("", "", share, minutes, 500, 10, score, drop, None, None, 60)
            self.record = replace(self.record, tried=(*self.record.tried, trial))
            return trial

    runner = Worse(steep)
    original = replace(ORIGINAL, score=Score(100, agreement=1.0, kl=0.0))
    runner.record = Trials({}, original)
    best = BudgetSearch(runner, max_drop=inf, minutes=20).run("macs=0.5")
    assert runner.record.tried[-1].score.better_than(best.score)
    assert (best.is_trained, best.drop) == (False, 1.0)


def test_networks_are_fitted_for_longer_until_one_holds():
    runner = Runner(lambda share: 150 * (1 - share))
    best = BudgetSearch(runner, max_drop=20, minutes=10).run()
    drops = [trial.drop for trial in fitted(runner)]
    assert [drop <= 20 for drop in drops] == [False, False, False, True]  # one a minute
    assert best.drop <= 20


def test_nothing_is_begun_after_its_share_of_the_time():
    runner = Runner(steep)
    BudgetSearch(runner, max_drop=2, minutes=10).run()
    names = [(trial.share, trial.is_trained) for trial in runner.record.tried]
    assert len([trained for _, trained in names if not trained]) <= 4
    assert names[-1][1]


def test_one_network_is_tried_however_short_the_time():
    runner = Runner(steep)
    best = BudgetSearch(runner, max_drop=2, minutes=0.5).run()
    assert runner.record.tried == (best,)


def test_without_one_that_holds_it_is_the_nearest():
    runner = Runner(lambda share: 50 / share)
    best = BudgetSearch(runner, max_drop=1, minutes=40).run()
    assert best.drop == min(trial.drop for trial in runner.record.tried)
    assert best.is_trained


def test_shares_that_no_plan_reaches_are_no_end():
    runner = Runner(lambda share: 0.0, lowest=0.4)
    best = BudgetSearch(runner, max_drop=1, minutes=100).run()
    assert 0.4 <= best.share <= 0.4 * 1.06


def test_the_fastest_is_not_the_one_with_the_smallest_budget():
    runner = Runner(lambda share: 0.0, lowest=0.2, speedup=lambda share: 1 + (share > 0.4))
    best = BudgetSearch(runner, max_drop=0.5, minutes=30).run()
    assert best.share > 0.4
    assert min(trial.share for trial in runner.record.tried) < 0.4


def test_the_better_weights_of_equal_costs_are_kept():
    runner = Runner(lambda share: 4.0)
    best = BudgetSearch(runner, max_drop=inf, minutes=20).run("macs=0.5")
    assert best == runner.record.tried[-1]
    assert best.drop < runner.record.tried[0].drop
    assert best.minutes == 18  # of 20, the original and the conversion took one each


def test_trained_weights_are_no_slower_for_being_timed_again():
    times = iter([1.5, 1.4, 1.4])
    runner = Runner(lambda share: 4.0, speedup=lambda share: next(times))
    best = BudgetSearch(runner, max_drop=inf, minutes=20).run("latency=0.5")
    assert best == runner.record.tried[-1]
    assert best.is_trained


def test_a_network_that_computes_no_numbers_is_not_handed_over():
    runner = Runner(lambda share: inf if share < 0.9 else 5.0)
    assert BudgetSearch(runner, max_drop=1, minutes=10).run().drop < 5


def test_a_search_that_ended_goes_on_with_time_of_its_own():
    runner = Runner(steep)
    first = BudgetSearch(runner, max_drop=1, minutes=10).run()
    runner.record = replace(runner.record, finished=runner.record.seconds)
    before = {trial.share for trial in runner.record.tried}
    best = BudgetSearch(runner, max_drop=4, minutes=10).run()
    assert best.share < min(before) < first.share
    assert best.drop <= 4


def test_the_last_training_is_for_what_a_longer_one_may_bring_within_the_drop():
    runner = Runner(steep)  # 1/4 loses 3 points
    for share, loss, minutes in ((0.5, 1.0, 0), (0.25, 3.0, 0), (0.2, 6.0, 0), (0.25, 2.2, 1)):
        runner.loss = lambda share, loss=loss, minutes=minutes: loss * (1 + minutes / 10)
        runner._add(share, minutes)
    runner.loss = lambda share: 6.0 * (1 + 40 / 10) / 2
    runner._add(0.2, 40)  # a longer training halved its drop
    runner.loss = steep
    BudgetSearch(runner, max_drop=2, minutes=100)._finish()
    assert runner.record.tried[-1].share == 0.25


def test_the_last_training_is_for_no_network_larger_than_the_best():
    runner = Runner(steep)
    for share, drop, minutes in ((0.5, 1.0, 0), (0.4, 1.9, 0), (0.4, 2.1, 1)):
        runner.loss = lambda share, drop=drop, minutes=minutes: drop * (1 + minutes / 10)
        runner._add(share, minutes)
    runner.loss = steep
    BudgetSearch(runner, max_drop=2, minutes=100)._finish()
    assert runner.record.tried[-1].share == 0.4


def test_nothing_to_save_is_an_error():
    runner = Runner(steep, lowest=1.0)
    with pytest.raises(GhostifyError, match="no plan costs less"):
        BudgetSearch(runner, max_drop=1, minutes=10).run()
