import pytest

from ghostify.types import Augmentation, GhostifyError, RecoverySettings


def test_the_default_number_of_epochs_is_unlimited_with_minutes():
    assert RecoverySettings().max_epochs == 10
    assert RecoverySettings(minutes=5).max_epochs is None
    assert RecoverySettings(minutes=5, epochs=3).max_epochs == 3


@pytest.mark.parametrize(
    ("setting", "message"),
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
def test_a_setting_out_of_its_range_is_named(setting, message):
    with pytest.raises(GhostifyError, match=message):
        RecoverySettings(**setting)


@pytest.mark.parametrize(
    "wrong",
    [
        {"crop_scale": 0},
        {"crop_scale": 1.1},
        {"crop_scale": float("nan")},
        {"randaugment": 31},
        {"mixup": -0.1},
        {"cutmix": float("inf")},
    ],
)
def test_numbers_out_of_range(wrong):
    with pytest.raises(GhostifyError, match=next(iter(wrong))):
        Augmentation(**wrong)
