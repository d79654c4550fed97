import math

import pytest
import torch
from torch.nn import functional as F

from ghostify import GhostifyError, RecoverySettings
from ghostify.training.feature_maps import compared_layers, measure_scales
from ghostify.training.objectives import (
    EndToEnd,
    Layerwise,
    accuracy,
    distillation_loss,
    label_loss,
    relative_errors,
)
from ghostify.types import Output, Outputs

from .conftest import images

CLASSES, LABELS = Output("classes", "", 2), Output("multilabel", "", 2)
VALUES = Output("values", "", 2)
COIN = math.log(2) - math.log(3) / 2
"""Divergence of a coin of 1/4 from one of 1/2."""


def test_each_output_has_the_loss_of_its_kind():
    odds, even = torch.tensor([[0.25, 0.75]]).log(), torch.zeros(1, 2)
    shift = torch.tensor([[1.0, 1.0]])

    def loss(output, found):
        return float(distillation_loss([found], [even], Outputs((output,)), [2.0], 1))

    assert loss(CLASSES, odds) == pytest.approx(COIN)
    assert loss(CLASSES, shift) == pytest.approx(0, abs=1e-7)
    assert loss(LABELS, torch.tensor([[math.log(3), 0.0]])) == pytest.approx(COIN)
    assert loss(VALUES, shift) == 1 / 2


def test_losses_of_several_outputs_are_averaged_and_pixels_are_too():
    odds = torch.tensor([0.25, 0.75]).log().view(1, 2, 1, 1)
    maps = torch.cat([odds, torch.zeros(1, 2, 1, 1)], 3)
    found = [maps, torch.full((1, 3), 2.0), torch.zeros(7)]
    taught = [torch.zeros(1, 2, 1, 2), torch.zeros(1, 3), torch.zeros(4)]
    outputs = Outputs((Output("classes", "", 2, dense=True), VALUES))
    loss = distillation_loss(found, taught, outputs, [1.0, 8.0, 1.0], 1)
    assert float(loss) == pytest.approx((COIN / 2 + 4 / 8) / 2)


def test_label_losses_are_those_of_torch():
    logits = torch.randn(5, 2)
    classes, bits = torch.tensor([0, 1, 1, 0, 1]), torch.randint(2, (5, 2))
    found = label_loss(logits, classes, CLASSES, 1.0, 0.1)
    torch.testing.assert_close(found, F.cross_entropy(logits, classes, label_smoothing=0.1))
    found = label_loss(logits, bits, LABELS, 1.0, 0.0)
    expected = F.binary_cross_entropy_with_logits(logits, bits.float()) * 2
    torch.testing.assert_close(found, expected)
    found = label_loss(logits, logits + 1, VALUES, 4.0, 0.0)
    torch.testing.assert_close(found, torch.tensor(1 / 4))


def test_pixels_without_a_label_have_no_loss():
    logits = torch.randn(1, 2, 1, 3)
    labels = torch.tensor([[[1, 255, -1]]])
    found = label_loss(logits, labels, Output("classes", "", 2, dense=True), 1.0, 0.0)
    torch.testing.assert_close(found, F.cross_entropy(logits[..., :1], labels[..., :1]))


def test_labels_that_do_not_fit():
    with pytest.raises(GhostifyError, match=r"`alpha` must be 0: labels \(5,\) do not fit outputs"):
        label_loss(torch.randn(5, 2), torch.zeros(5), VALUES, 1.0, 0.0)


def test_accuracy_counts_decisions():
    logits, taught = torch.tensor([[1.0, -1.0], [1.0, 2.0]]), torch.tensor([[1.0, 2.0], [0.0, 1.0]])
    assert float(accuracy(logits, taught, None, CLASSES)) == 1 / 2
    assert float(accuracy(logits, taught, torch.tensor([0, 1]), CLASSES)) == 1
    assert float(accuracy(logits, taught, None, LABELS)) == 2 / 4
    assert float(accuracy(logits, taught, torch.tensor([[1, 0], [0, 1]]), LABELS)) == 3 / 4


def test_relative_errors_are_a_mean_over_those_of_one_shape():
    found = [torch.ones(2, 2), torch.zeros(3), torch.zeros(7)]
    wanted = [torch.zeros(2, 2), torch.full((3,), 2.0), torch.zeros(4)]
    # 1 / 2 and 4 / 8
    assert float(relative_errors(found, wanted, [2.0, 8.0, 1.0])) == 0.5


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"temperature": 3.0},
        {"alpha": 0.25},
        {"alpha": 1.0, "label_smoothing": 0.2},
        {"feature_weight": 0.5},
        {"feature_weight": 2.0, "alpha": 0.5, "label_smoothing": 0.1, "temperature": 1.0},
    ],
    ids=str,
)
def test_a_loss_is_the_weighted_sum_of_its_parts(teacher, student, settings):
    settings, batch = RecoverySettings(**settings), images(8)
    labels = torch.arange(8) % 5
    layers = compared_layers(teacher, student, batch)
    scales = measure_scales(teacher, layers, batch)
    outputs = Outputs((Output("classes", "", 5),))
    with torch.no_grad():
        found = EndToEnd(teacher, student, layers, scales, settings, outputs)(batch, labels)
        own, taught = student(batch), teacher(batch)
    heat, alpha, weight = settings.temperature, settings.alpha, settings.feature_weight or 0
    soft = F.kl_div(
        F.log_softmax(own / heat, 1), F.softmax(taught / heat, 1), reduction="batchmean"
    )
    torch.testing.assert_close(found["distillation"], soft * heat**2)
    expected = (1 - alpha) * found["distillation"]
    assert ("labels" in found) == (alpha > 0)
    if alpha:
        smoothing = settings.label_smoothing
        entropy = F.cross_entropy(own, labels, label_smoothing=smoothing)
        torch.testing.assert_close(found["labels"], entropy)
        expected = expected + alpha * entropy
    assert ("features" in found) == (weight > 0)
    if weight:
        expected = expected + weight * found["features"]
    torch.testing.assert_close(found["loss"], expected)


@pytest.mark.parametrize("objective", [Layerwise, EndToEnd])
def test_a_student_that_lacks_unused_channels_alone_has_no_loss(narrowed, objective):
    teacher, student = narrowed
    batch, settings = images(8), RecoverySettings(feature_weight=1.0)
    layers = compared_layers(teacher, student, batch)
    scales = measure_scales(teacher, layers, batch)

    def losses():
        found = objective(teacher, student, layers, scales, settings, Outputs((CLASSES,)))(batch)
        return [float(found[name].detach()) for name in ("loss", "features")]

    assert losses() == pytest.approx([0, 0], abs=1e-9)
    for layer in (student.first, student.last, student.head):
        before = layer.weight.detach().clone()
        layer.weight.data[0] *= 1.5
        assert all(loss > 1e-4 for loss in losses())
        layer.weight.data = before


def test_layers_are_trained_on_their_own_with_their_batch_norms(narrowed):
    teacher, student = narrowed
    layers = compared_layers(teacher, student, images(1))
    objective = Layerwise(teacher, student, layers, {}, RecoverySettings(), Outputs())
    assert {name.split(".")[0] for name in objective.trained()} == {"first", "norm", "last", "head"}
