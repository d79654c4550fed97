import math

import pytest
import torch
from torch import nn

from ghostify.evaluation import evaluate
from ghostify.types import Output, Outputs

CLASSES = Outputs((Output("classes", "", 2),))
VALUES = Outputs((Output("values", "", 4, dense=True),))


def agreement(model, converted, batches, outputs=CLASSES):
    return evaluate.agreement(model, converted, batches, outputs)


class Given(nn.Module):
    """Returns fixed outputs, one for each image."""

    def __init__(self, *outputs):
        super().__init__()
        self.outputs = [torch.as_tensor(output) for output in outputs]

    def forward(self, x):
        outputs = [output[: len(x)] for output in self.outputs]
        return outputs[0] if len(outputs) == 1 else outputs


X = torch.zeros(2, 3, 4, 4)


def test_by_hand():
    """Odds of 1:1 and 1:4 against 1:1 and 1:2."""
    first = torch.tensor([[1.0, 1.0], [1.0, 4.0]]).log()
    second = torch.tensor([[1.0, 1.0], [1.0, 2.0]]).log()
    found = agreement(Given(first), Given(second), [X])
    assert found.relative_error == pytest.approx(1 / 4)  # (log 4 - log 2)^2 over (log 4)^2
    divergence = 1 / 5 * math.log(3 / 5) + 4 / 5 * math.log(6 / 5)
    assert found.kl == pytest.approx(divergence / 2)  # none in the first image
    assert (found.images, found.agreement) == (2, 1)


def test_the_same_network_agrees_with_itself():
    model = nn.Sequential(nn.Flatten(), nn.Linear(48, 5), nn.Dropout())
    found = agreement(model, model, [torch.randn(3, 3, 4, 4), torch.randn(1, 3, 4, 4)])
    assert (found.images, found.relative_error, found.agreement) == (4, 0, 1)
    assert found.kl == pytest.approx(0, abs=1e-12)
    assert model.training


def test_batches_count_by_their_images():
    first, second = torch.eye(4), torch.eye(4)[[0, 1, 2, 0]]
    found = agreement(Given(first), Given(second), [X, torch.zeros(4, 3, 4, 4)])
    assert (found.images, found.agreement) == (6, 5 / 6)


def test_values_have_no_classes():
    maps = torch.randn(2, 4, 3, 3)
    found = agreement(Given(maps), Given(maps / 2), [X], VALUES)
    assert found.relative_error == pytest.approx(1 / 4)
    assert (found.agreement, found.kl) == (None, None)


def test_outputs_of_another_shape_are_ignored():
    both = torch.ones(2, 4, 3, 3)
    one, other = Given(both, torch.ones(2, 7)), Given(both, torch.ones(2, 9))
    assert agreement(one, other, [X], VALUES).relative_error == 0
    assert agreement(Given(torch.ones(2, 7)), Given(torch.ones(2, 9)), [X]) is None


def test_nothing_to_compare():
    assert agreement(Given(torch.ones(2, 4).long()), Given(torch.ones(2, 4).long()), [X]) is None
    assert agreement(nn.Flatten(), nn.Flatten(), []) is None


def test_masked_classes_are_ignored():
    first = torch.tensor([[0.5, 0.5, 0.0]]).log()
    second = torch.tensor([[0.25, 0.75, 0.0]]).log()
    found = agreement(Given(first), Given(second), [X[:1]])
    assert found.kl == pytest.approx(math.log(2) / 2 + math.log(2 / 3) / 2)
    assert 0 < found.relative_error < 1


def test_both_networks_are_unchanged():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten())
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    agreement(model, model, [torch.randn(2, 3, 4, 4)])
    assert model.training
    assert all(torch.equal(before[name], now) for name, now in model.state_dict().items())
