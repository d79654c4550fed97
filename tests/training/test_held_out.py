import pytest
import torch

from ghostify.training.held_out import divide, has_collapsed, is_worse, noise
from ghostify.types import Score
from ghostify.types.errors import GhostifyWarning


def images(number):
    return list(torch.arange(float(number))[:, None].split(10))


def count(batches):
    return sum(len(inputs) for inputs, _ in batches)


def test_enough_held_out_images_choose_and_report_in_two_halves():
    data = images(50)
    training, held_out = divide(data, images(200))
    assert training is data
    assert held_out.kind == "validation"
    assert count(held_out.selecting) == count(held_out.reporting) == 100
    validation = images(199)
    _, held_out = divide(data, validation)
    assert (held_out.selecting, held_out.reporting) == (validation, None)


def test_without_validation_data_a_part_of_the_training_data_is_held_out():
    training, held_out = divide(images(300), None)
    assert (held_out.kind, held_out.reporting) == ("held-out", None)
    assert (count(training), count(held_out.selecting)) == (270, 30)


def test_too_few_images_to_hold_any_out_are_a_warning():
    data = images(50)
    with pytest.warns(GhostifyWarning, match="too few images to hold any out"):
        training, held_out = divide(data, None)
    assert training is data is held_out.selecting
    assert held_out.kind == "training"


def test_few_validation_images_are_a_warning():
    with pytest.warns(GhostifyWarning, match="fewer than 16 validation images"):
        divide(images(50), images(15))
    divide(images(50), images(16))


def test_noise_of_shares_and_of_errors():
    assert noise(Score(100, top1=0.5)) == pytest.approx(0.05, rel=0.02)
    assert noise(Score(50, top1=1.0)) == pytest.approx(0.0194, rel=0.01)
    assert noise(Score(100, kl=0.2)) == pytest.approx(0.04)


def test_worse_is_below_by_more_than_noise():
    best = Score(100, top1=0.9)
    assert not is_worse(Score(100, top1=0.88), best)
    assert is_worse(Score(100, top1=0.86), best)
    assert not has_collapsed(Score(100, top1=0.75), best)
    assert has_collapsed(Score(100, top1=0.7), best)
    assert has_collapsed(Score(100, kl=float("nan")), Score(100, kl=0.1))
    assert not is_worse(Score(100, kl=0.119), Score(100, kl=0.1))
    assert is_worse(Score(100, kl=0.121), Score(100, kl=0.1))
    assert not has_collapsed(Score(100, kl=0.19), Score(100, kl=0.1))
    assert has_collapsed(Score(100, kl=0.21), Score(100, kl=0.1))
