import math

import pytest
import torch
from torch.nn import functional as F

from ghostify.training.objectives import are_logits, distillation_loss, relative_errors, scale_of


def test_the_distillation_loss_of_two_coins():
    # p = (1/2, 1/2), q = (1/4, 3/4): KL = ln 2 - ln(3) / 2
    logits = torch.tensor([[0.25, 0.75]]).log()
    found = distillation_loss(logits, torch.zeros(1, 2), temperature=1)
    assert float(found) == pytest.approx(math.log(2) - math.log(3) / 2)


def test_a_temperature_softens_both_and_keeps_the_size_of_gradients():
    logits, taught = torch.randn(4, 10), torch.randn(4, 10)
    expected = 9 * F.kl_div(
        (logits / 3).log_softmax(1), (taught / 3).softmax(1), reduction="batchmean"
    )
    torch.testing.assert_close(distillation_loss(logits, taught, 3), expected)


def test_classes_at_minus_infinity_are_ignored():
    taught = torch.tensor([[0.0, 0.0, -torch.inf]])
    logits = torch.zeros(1, 3, requires_grad=True)
    found = distillation_loss(logits, taught, 1)
    found.backward()
    assert found.item() == pytest.approx(math.log(3) - math.log(2))
    assert logits.grad.isfinite().all()


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
