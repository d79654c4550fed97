import json

import pytest

from ghostify.types import GhostifyError, Recovery, RecoverySettings, Score


def test_epochs_end_a_training_where_minutes_do_not():
    assert RecoverySettings().max_epochs == 10
    assert RecoverySettings(minutes=5).max_epochs is None
    assert RecoverySettings(minutes=5, epochs=3).max_epochs == 3


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"epochs": 0}, r"`epochs` \(=0\) must be an integer, at least 1"),
        ({"epochs": 2.5}, "an integer"),
        ({"minutes": float("nan")}, r"`minutes` \(=nan\) must be above 0"),
        ({"minutes": 10**400}, "`minutes` .* must be above 0"),
        ({"alpha": 1.5}, "at least 0 and at most 1"),
        ({"alpha": None}, r"`alpha` \(=None\)"),
        ({"ema_decay": 1}, "below 1"),
        ({"lr": "fast"}, r"`lr` \(='fast'\)"),
        ({"optimizer": "adam"}, "one of adamw, sgd, muon"),
        ({"freeze_bn": "no"}, "True or False"),
        ({"seed": True}, "an integer"),
    ],
)
def test_a_setting_out_of_its_range_is_named(setting, said):
    with pytest.raises(GhostifyError, match=said):
        RecoverySettings(**setting)


def test_a_recovery_is_read_back_from_json():
    recovery = Recovery(
        RecoverySettings(epochs=3, layerwise_fraction=0.5), 30, 960, 1.5, "epochs",
        original=Score(10, top1=0.9), converted=Score(10, top1=0.5), recovered=None,
        history=({"epoch": 1, "loss": 0.1, "score": None},),
    )  # fmt: skip
    assert Recovery.from_dict(json.loads(json.dumps(recovery.to_dict()))) == recovery


@pytest.mark.parametrize("data", [None, {}, {"settings": {}, "history": [], "more": 1}])
def test_something_else_is_no_recovery(data):
    with pytest.raises(GhostifyError):
        Recovery.from_dict(data)
