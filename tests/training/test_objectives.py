import math

import pytest
import torch
from torch.nn import functional as F

from ghostify.training.objectives import distillation_loss


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
