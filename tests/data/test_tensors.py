import pytest
import torch

from ghostify.data.tensors import TensorImages

IMAGES = torch.arange(20.0).view(20, 1, 1, 1)


def test_a_rare_class_is_held_out_and_stays():
    labels = torch.tensor([0] * 18 + [1] * 2)
    kept, held = TensorImages(IMAGES, labels).hold_out(0.1)
    assert [part.labels.sum().item() for part in (kept, held)] == [1, 1]
    assert sorted(torch.cat([kept.images, held.images]).flatten().tolist()) == list(range(20))
    assert (held.labels == (held.images.flatten() >= 18)).all()


@pytest.mark.parametrize(
    "labels", [None, torch.rand(20), torch.rand(20, 3), torch.arange(40).view(20, 2)]
)
def test_labels_that_are_no_classes(labels):
    kept, held = TensorImages(IMAGES, labels).hold_out(0.1)
    assert (len(kept), len(held)) == (18, 2)
    if labels is not None:
        assert torch.equal(held.labels, labels[held.images.flatten().long()])
