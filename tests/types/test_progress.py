import pytest

from ghostify.types.progress import Progress, TrainingProgress


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({}, "epoch 2: loss 0.123, 46 img/s"),
        ({"score": 0.5}, "epoch 2: loss 0.123, accuracy 50.0%, 46 img/s"),
        ({"stage": 2, "stages": 3}, "stage 2/3, epoch 2: loss 0.123, 46 img/s"),
    ],
)
def test_the_detail_of_a_training(changes, detail):
    values = {"phase": "end-to-end", "epoch": 2, "loss": 0.1234, "score": None, "speed": 45.6}
    found = TrainingProgress(done=7, seconds_left=3, **(values | changes))
    assert found.detail == detail
    assert (found.task, found.done, found.total) == ("recovering", 7, 100)


def test_nothing_is_known_of_the_total():
    assert Progress("converting", 3).total is None
