import torch

from ghostify.evaluation.metrics import Metrics, numbers
from ghostify.types import Output, Outputs

CLASSES = Outputs((Output("classes", "", 2),))
LOGITS = torch.tensor([[2.0, 1.0], [1.0, 2.0], [3.0, 0.0]])
LABELS = torch.tensor([0, 0, 0])


def test_totals_of_two_processes_add_up():
    whole, first, second = (Metrics(CLASSES) for _ in range(3))
    whole.update(LOGITS, LABELS, LOGITS / 2, 3)
    first.update(LOGITS[:1], LABELS[:1], LOGITS[:1] / 2, 1)
    second.update(LOGITS[1:], LABELS[1:], LOGITS[1:] / 2, 2)
    other = torch.cat([total.flatten() for total in second.totals.values()])
    assert first.compute(lambda flat: flat + other) == whole.compute()


def test_labels_on_some_batches_only_are_ignored():
    metrics = Metrics(CLASSES)
    metrics.update(LOGITS, LABELS, None, 3)
    metrics.update(LOGITS, None, None, 3)
    assert (metrics.compute().images, metrics.compute().top1) == (6, None)


def test_numbers_are_found_in_any_structure():
    output = [{"boxes": torch.zeros(2, 4), "labels": torch.zeros(2, dtype=torch.long)}, None]
    assert [tuple(tensor.shape) for tensor in numbers(output)] == [(2, 4)]
