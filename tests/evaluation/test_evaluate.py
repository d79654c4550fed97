import math

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from ghostify import GhostifyError, evaluate
from ghostify.data.loaders import Data
from ghostify.types.progress import Progress


class Given(nn.Module):
    """Gives the rows of a table that its images name."""

    def __init__(self, table):
        super().__init__()
        self.table = nn.Parameter(torch.as_tensor(table))

    def forward(self, x):
        return self.table[x.flatten(1)[:, 0].long()]


def batches(*sizes, labels=None):
    images = torch.arange(sum(sizes)).float().view(-1, 1, 1, 1)
    parts = images.split(sizes)
    return list(zip(parts, labels.split(sizes), strict=True)) if labels is not None else list(parts)


ODDS = torch.tensor([[1.0, 1.0, 2.0], [3.0, 0.5, 0.5], [1.0, 2.0, 1.0]]).log()
LABELS = torch.tensor([2, 0, 2])


def test_by_hand():
    """Likelihoods of the labels: 2 of 4, 3 of 4, 1 of 4; the last one is not the likeliest."""
    found = evaluate(Given(ODDS), batches(2, 1, labels=LABELS))
    assert (found.images, found.top1, found.top5) == (3, pytest.approx(2 / 3), None)
    assert found.loss == pytest.approx(-math.log(2 / 4 * 3 / 4 * 1 / 4) / 3)
    assert (found.agreement, found.kl, found.relative_error) == (None, None, None)


def test_five_of_six_classes():
    table = torch.tensor([[6.0, 5, 4, 3, 2, 1]] * 3)
    found = evaluate(Given(table), batches(3, labels=torch.tensor([0, 4, 5])))
    assert (found.top1, found.top5) == (pytest.approx(1 / 3), pytest.approx(2 / 3))


def test_class_probabilities_as_labels():
    shares = torch.tensor([[0.0, 0.25, 0.75], [0.5, 0.5, 0.0], [0.0, 1.0, 0.0]])
    found = evaluate(Given(ODDS), batches(3, labels=shares))
    likelihoods = [math.log(1 / 4) / 4 + math.log(2 / 4) * 3 / 4,
                   math.log(3 / 4) / 2 + math.log(1 / 8) / 2, math.log(2 / 4)]  # fmt: skip
    assert found.loss == pytest.approx(-sum(likelihoods) / 3)
    assert found.top1 == 1


def test_against_a_teacher_without_labels():
    """Divergences of (1, 1) from (1, 1) and of (1, 2) from (1, 4), in thirds and fifths."""
    teacher = torch.tensor([[1.0, 1.0], [1.0, 4.0]]).log()
    student = torch.tensor([[1.0, 1.0], [1.0, 2.0]]).log()
    found = evaluate(Given(student), batches(1, 1), teacher=Given(teacher), outputs="classes")
    divergence = 1 / 5 * math.log(3 / 5) + 4 / 5 * math.log(6 / 5)
    assert found.kl == pytest.approx(divergence / 2)
    assert (found.agreement, found.top1) == (1, None)
    assert found.relative_error == pytest.approx(1 / 4)


class FeatureMaps(nn.Module):
    def __init__(self, scale):
        super().__init__()
        self.scale = scale

    def forward(self, x):
        return {"maps": [x * self.scale], "count": 3}


def test_outputs_of_any_structure():
    found = evaluate(FeatureMaps(0.5), [torch.randn(2, 3, 4, 4)], teacher=FeatureMaps(1.0))
    assert found.relative_error == pytest.approx(1 / 4)
    assert (found.top1, found.agreement, found.kl, found.mae) == (None, None, None, None)


def test_a_model_with_two_inputs():
    class Sum(nn.Module):
        def forward(self, a, b):
            return (a + b).flatten(1)

    inputs = torch.randn(2, 3, 2, 2), torch.randn(2, 3, 2, 2)
    assert evaluate(Sum(), [inputs], teacher=Sum()).teacher_mae == 0


def test_agrees_with_torchmetrics():
    classification = pytest.importorskip("torchmetrics.functional.classification")
    logits, labels = torch.randn(50, 10), torch.randint(10, (50,))
    found = evaluate(Given(logits), batches(20, 20, 10, labels=labels))
    for name, k in (("top1", 1), ("top5", 5)):
        theirs = classification.multiclass_accuracy(logits, labels, 10, "micro", top_k=k)
        assert getattr(found, name) == pytest.approx(float(theirs))


def test_modes_and_generator_are_restored():
    model = nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(12, 4))
    model[1].eval()
    images = torch.randn(3, 3, 2, 2)
    state = torch.get_rng_state()
    found = evaluate(model, [images], teacher=model, outputs="classes")
    assert (found.agreement, found.relative_error) == (1, 0)
    assert [module.training for module in model] == [True, False, True]
    assert torch.equal(torch.get_rng_state(), state)


def test_data_is_evaluated_on_its_validation_images():
    def loader(labels):
        images = torch.arange(3.0).view(-1, 1, 1, 1)
        return DataLoader(TensorDataset(images, labels))

    data = Data("x", loader(LABELS), loader(ODDS.argmax(1)), classes=3)
    assert evaluate(Given(ODDS), data).top1 == 1
    with pytest.raises(GhostifyError, match="x has no validation images: raise `held_out`; 1"):
        evaluate(Given(ODDS), Data("x", loader(LABELS)))


def test_progress():
    seen = []
    evaluate(Given(ODDS), batches(2, 1, labels=LABELS), progress=seen.append)
    assert seen == [Progress("evaluating", 1, 2), Progress("evaluating", 2, 2)]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "at least one image"),
        ([torch.zeros(0, 1, 1, 1)], "at least one image"),
        (batches(3), "no labels that match the outputs: pass the original"),
        (batches(3, labels=torch.zeros(3, 2, 2).long()), "no labels that match"),
        (
            batches(3, labels=torch.tensor([0, 1, 3])),
            "from 0 to 3. must be from 0 to 2",
        ),
        (batches(3, labels=torch.tensor([-1, 1, 2])), "from -1 to 2"),
    ],
)
def test_unusable_data(data, message):
    with pytest.raises(GhostifyError, match=message):
        evaluate(Given(ODDS), data)


def test_a_teacher_of_another_structure():
    with pytest.raises(GhostifyError, match="nor the teacher's outputs match"):
        evaluate(Given(ODDS), batches(3), teacher=Given(ODDS[:, :2]))
