import pytest

from ghostify.types import Augmentation, GhostifyError


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
