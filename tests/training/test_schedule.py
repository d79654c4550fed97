import pytest

from ghostify.training.optim import Budget, rate_at, stage_at
from ghostify.types import RecoverySettings


def test_a_budget_is_spent_by_what_ends_first():
    both = Budget(steps=100, seconds=60)
    assert both.spent(25, 30) == 0.5
    assert both.spent(75, 30) == 0.75
    assert both.spent(10, 90) == 1
    assert Budget(steps=None, seconds=60).spent(1e9, 15) == 0.25


def test_the_local_stage_comes_first_and_each_stage_has_its_own_share():
    settings = RecoverySettings(layerwise_fraction=0.4)
    assert stage_at(0.1, settings) == ("local", 0.25)
    assert stage_at(0.4, settings) == ("end to end", 0)
    assert stage_at(0.7, settings) == ("end to end", pytest.approx(0.5))
    assert stage_at(0.5, RecoverySettings(layerwise_fraction=1)) == ("local", 0.5)


def test_the_rate_rises_in_a_line_and_falls_as_a_cosine():
    settings = RecoverySettings(lr=8.0, warmup=0.2)
    shares = (0, 0.1, 0.2, 0.6, 1)
    found = [rate_at(share, settings) for share in shares]
    assert found == pytest.approx([0, 4, 8, 4, 0])
    assert rate_at(0, RecoverySettings(lr=8.0, warmup=0)) == 8
