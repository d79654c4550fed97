"""Records of trials, as they are read from a file."""

from dataclasses import replace

import pytest

from ghostify import GhostifyError
from ghostify.types import Score, Trial, Trials

TRIAL = Trial("01-macs=0.5", "macs=0.5", 0.5, 0, 10, 1, Score(9, top1=0.9), 0, None, None, 60)


@pytest.mark.parametrize("name", ["../elsewhere", "/elsewhere", "a/b"])
def test_a_trial_is_in_its_folder(name):
    with pytest.raises(GhostifyError, match="must be the name of a folder"):
        replace(TRIAL, name=name)


@pytest.mark.parametrize("change", [{"score": Score(9, agreement=0.9)}, {"latency": 0.1}])
def test_trials_are_compared_by_what_all_have(change):
    assert Trials({}, TRIAL, (TRIAL, TRIAL)).seconds == 180
    with pytest.raises(GhostifyError, match="the same metrics, and all a latency or none"):
        Trials({}, TRIAL, (TRIAL, replace(TRIAL, **change)))
