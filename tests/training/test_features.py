import math

import pytest
import torch

from ghostify.training.features import are_logits, relative_errors, scale_of


def test_a_scale_is_the_variance_around_the_mean_of_each_channel():
    maps = torch.tensor([[[1.0, 3.0]], [[10.0, 10.0]]]).transpose(0, 1)  # 1 x 2 x 2
    assert scale_of(maps) == 0.5  # (1 + 1 + 0 + 0) / 4
    assert scale_of(torch.tensor([1.0, 3.0])) == 1
    assert scale_of(torch.full((2, 3), 10.0)) == pytest.approx(0.01)
    assert scale_of(torch.zeros(0, 4)) == math.inf


def test_relative_errors_are_a_mean_over_those_of_one_shape():
    found = [torch.ones(2, 2), torch.zeros(3), torch.zeros(7)]
    wanted = [torch.zeros(2, 2), torch.full((3,), 2.0), torch.zeros(4)]
    # 1 / 2 and 4 / 8
    assert float(relative_errors(found, wanted, [2.0, 8.0, 1.0])) == 0.5


def test_logits_are_the_only_output_and_have_classes():
    assert are_logits([torch.zeros(4, 10)])
    assert not are_logits([torch.zeros(4, 1)])
    assert not are_logits([torch.zeros(4, 10, 2)])
    assert not are_logits([torch.zeros(4, 10), torch.zeros(4, 10)])
