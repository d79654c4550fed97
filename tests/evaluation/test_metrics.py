import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ghostify import GhostifyError
from ghostify.evaluation.metrics import Metrics, numbers
from ghostify.types import Output, Outputs

LOGITS = torch.tensor([[2.0, 1.0], [1.0, 2.0], [3.0, 0.0]])
LABELS = torch.tensor([0, 0, 0])


def metrics_of(kind, size, **details):
    return Metrics(Outputs((Output(kind, "", size, **details),)))


def score(kind, size, output, labels=None, expected=None, **details):
    metrics = metrics_of(kind, size, **details)
    metrics.update(output, labels, expected, len(output))
    return metrics.compute()


def known(found):
    return {name for name in found.__slots__ if getattr(found, name) is not None}


TASKS = {
    "classes": (3, torch.randint(3, (8,)), {}),
    "multilabel": (3, torch.randint(2, (8, 3)), {}),
    "values": (3, torch.randn(8, 3), {}),
}
DENSE = {
    "classes": (3, torch.randint(3, (8, 2, 2)), {"dense": True}),
    "multilabel": (3, torch.randint(2, (8, 3, 2, 2)), {"dense": True}),
    "values": (3, torch.randn(8, 3, 2, 2), {"dense": True}),
}


@pytest.mark.parametrize("kind", TASKS)
@pytest.mark.parametrize("tasks", [TASKS, DENSE])
def test_totals_of_two_processes_add_up(kind, tasks):
    size, labels, details = tasks[kind]
    shape = (8, size, 2, 2) if details else (8, size)
    outputs, taught = torch.randn(shape), torch.randn(shape)
    whole, first, second = (metrics_of(kind, size, **details) for _ in range(3))
    for metrics, part in ((whole, slice(8)), (first, slice(3)), (second, slice(3, 8))):
        metrics.update(outputs[part], labels[part], taught[part], len(outputs[part]))
    idle = metrics_of(kind, size, **details)  # a process without images has totals of one shape
    other = [m.totals.values() for m in (second, idle)]
    summed = sum(torch.cat([total.flatten() for total in totals]) for totals in other)
    both, alone = first.compute(lambda flat: flat + summed), whole.compute()
    assert known(both) == known(alone)
    for name in known(alone):
        assert getattr(both, name) == pytest.approx(getattr(alone, name))


def test_which_metrics_there_are():
    """Metrics that mean nothing for a kind are None."""
    expected = {
        "classes": {"top1", "loss", "agreement", "kl"},
        "multilabel": {"accuracy", "mean_ap", "loss", "agreement", "kl"},
        "values": {"mae", "r2", "teacher_mae", "teacher_r2"},
    }
    for kind, (size, labels, _) in TASKS.items():
        found = score(kind, size, torch.randn(8, 3), labels, torch.randn(8, 3))
        assert known(found) == expected[kind] | {"images", "relative_error"}
    segmented = score("classes", 3, torch.randn(8, 3, 2, 2), DENSE["classes"][1], dense=True)
    assert known(segmented) == {"images", "accuracy", "mean_iou", "loss"}


def test_labels_on_some_batches_only_are_ignored():
    metrics = metrics_of("classes", 2)
    metrics.update(LOGITS, LABELS, None, 3)
    metrics.update(LOGITS, None, None, 3)
    assert (metrics.compute().images, metrics.compute().top1) == (6, None)


def test_values_by_hand():
    output = torch.tensor([[1.0, 10.0], [3.0, 30.0]])
    labels = torch.tensor([[2.0, 10.0], [2.5, 20.0]])
    found = score("values", 2, output, labels)
    assert found.mae == pytest.approx((1 + 0 + 0.5 + 10) / 4)
    # 1 - 1.25 / 0.125 and 1 - 100 / 50
    assert found.r2 == pytest.approx((1 - 10 + 1 - 2) / 2)
    shifted = score("values", 2, output + 1, None, output)
    assert (shifted.teacher_mae, shifted.mae) == (1, None)
    assert shifted.relative_error == pytest.approx(4 / (1 + 100 + 9 + 900))
    assert shifted.teacher_r2 == pytest.approx((1 - 2 / 2 + 1 - 2 / 200) / 2)


def test_values_whose_labels_are_constant_have_no_share_explained():
    found = score("values", 1, torch.tensor([[1.0], [2.0]]), torch.ones(2))
    assert (found.mae, found.r2) == (0.5, None)


def test_a_segmentation_by_hand():
    """Four pixels; class 2 neither labeled nor predicted; the last pixel has no label."""
    labels = torch.tensor([[[0, 0, 1, 255]]])
    output = torch.eye(3)[torch.tensor([0, 1, 1, 0])].T[None, :, None] * 5
    found = score("classes", 3, output, labels, output.roll(1, 3), dense=True)
    assert found.accuracy == pytest.approx(2 / 3)
    assert found.mean_iou == pytest.approx((1 / 2 + 1 / 2) / 2)
    assert found.agreement == 1 / 2
    p = math.exp(5) / (math.exp(5) + 2)
    q = 1 / (math.exp(5) + 2)
    assert found.loss == pytest.approx(-(2 * math.log(p) + math.log(q)) / 3)
    assert found.kl == pytest.approx((p - q) * 5 / 2)  # half of the pixels differ


def test_labels_by_hand():
    """Scores 3, 2, 1 of entries that are right, wrong and right: (1 + 2 / 3) / 2."""
    output = torch.tensor([[3.0, -1.0], [2.0, 1.0], [1.0, -2.0]])
    labels = torch.tensor([[1, 0], [0, 1], [1, 0]])
    found = score("multilabel", 2, output, labels, -output)
    assert found.mean_ap == pytest.approx(((1 + 2 / 3) / 2 + 1) / 2)
    assert (found.accuracy, found.agreement) == (5 / 6, 0)
    probabilities = score("multilabel", 2, output.sigmoid(), labels, probabilities=True)
    assert probabilities.loss == pytest.approx(found.loss, rel=1e-5)
    assert probabilities.mean_ap == found.mean_ap


def test_a_mask_has_an_intersection_over_union():
    output = torch.tensor([[[[1.0, 1.0, -1.0]]]])
    found = score("multilabel", 1, output, torch.tensor([[[1, 0, 1]]]), dense=True)
    assert (found.mean_iou, found.accuracy) == (pytest.approx(1 / 3), pytest.approx(1 / 3))


def test_classes_that_a_segmentation_does_not_have():
    labels = torch.tensor([[[0, 7]]])
    with pytest.raises(GhostifyError, match="labels .from 0 to 7. must be from 0 to 2"):
        score("classes", 3, torch.zeros(1, 3, 1, 2), labels, dense=True)


@given(st.integers(0, 2**31), st.integers(2, 5), st.integers(2, 40))
def test_equal_to_scikit_learn(seed, size, images):
    sklearn = pytest.importorskip("sklearn.metrics")
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randint(-200, 200, (images, size), generator=generator) / 64
    bits = torch.rand(images, size, generator=generator) < 0.4
    bits[0] = True
    found = score("multilabel", size, scores, bits)
    expected = sklearn.average_precision_score(bits.numpy(), scores.numpy(), average="macro")
    assert found.mean_ap == pytest.approx(expected)
    assert found.accuracy == pytest.approx(float((bits == (scores > 0)).float().mean()))
    classes = torch.randint(size, (images, 1, 1), generator=generator)
    found = score("classes", size, scores[..., None, None], classes, dense=True)
    pairs = classes.flatten(), scores.argmax(1)
    assert found.mean_iou == pytest.approx(sklearn.jaccard_score(*pairs, average="macro"))
    values = torch.randn(images, size, generator=generator).double()
    found = score("values", size, scores, values)
    assert found.r2 == pytest.approx(sklearn.r2_score(values, scores))
    assert found.mae == pytest.approx(sklearn.mean_absolute_error(values, scores))


def test_several_outputs():
    """Labels are those of the first; the divergence is the sum of all, if all are classes."""
    classes = Output("classes", "", 2)
    two = Metrics(Outputs((classes, classes)))
    two.update([LOGITS, LOGITS], LABELS, [LOGITS, LOGITS.flip(1)], 3)
    one = score("classes", 2, LOGITS, LABELS, LOGITS.flip(1))
    assert two.compute().kl == pytest.approx(one.kl)
    assert two.compute().agreement == 1
    mixed = Metrics(Outputs((classes, Output("values", "", 2))))
    mixed.update([LOGITS, LOGITS], LABELS, [LOGITS, LOGITS / 2], 3)
    found = mixed.compute()
    assert (found.kl, found.agreement, found.top1) == (None, 1, pytest.approx(2 / 3))
    assert found.relative_error > 0


def test_numbers_are_found_in_any_structure():
    output = [{"boxes": torch.zeros(2, 4), "labels": torch.zeros(2, dtype=torch.long)}, None]
    assert [tuple(tensor.shape) for tensor in numbers(output)] == [(2, 4)]
