import pytest
import torch

from ghostify.data import split_labels

IMAGES = torch.zeros(2, 3, 4, 4)
LABELS = torch.tensor([0, 1])


@pytest.mark.parametrize("labels", [LABELS, torch.eye(2), torch.zeros(2, 4, 4, dtype=torch.int64)])
@pytest.mark.parametrize("kind", [list, tuple])
def test_pairs(labels, kind):
    inputs, found = split_labels(kind([IMAGES, labels]))
    assert inputs is IMAGES
    assert found is labels


def test_images_alone():
    assert split_labels(IMAGES) == (IMAGES, None)
    inputs, labels = split_labels([IMAGES])  # of a TensorDataset
    assert inputs is IMAGES
    assert labels is None


def test_two_inputs_are_no_labels():
    batch = (IMAGES, IMAGES)
    assert split_labels(batch) == (batch, None)


def test_detectors():
    images = [torch.zeros(3, 4, 4)] * 2
    assert split_labels((images, [{"boxes": 1}] * 2)) == (images, None)
    assert split_labels([images[0]]) == ([images[0]], None)


def test_mappings():
    inputs, labels = split_labels({"pixel_values": IMAGES, "labels": LABELS})
    assert list(inputs) == ["pixel_values"]
    assert labels is LABELS
    assert split_labels({"pixel_values": IMAGES})[1] is None
