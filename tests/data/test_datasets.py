import numpy as np
import pytest
import torch

from ghostify.data.datasets import TrainingDataset
from ghostify.data.images import images_of_array
from ghostify.data.transform import Transform
from ghostify.types import Augmentation, Preprocessing

SIZE = (1, 8, 8)
WAYS = Preprocessing((0.0,), (1.0,), "bilinear")


def make(augmentation, pixels, labels, classes=None):
    pictures = images_of_array(pixels, labels, "x")
    view = Transform(SIZE, WAYS, augmentation)
    return TrainingDataset(pictures, view, seed=0, classes=classes)


BLACK_AND_WHITE = np.stack([np.zeros((8, 8), np.uint8), np.full((8, 8), 255, np.uint8)])


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_labels_are_mixed_as_the_images_are(kind):
    """Black is class 0 and white class 1, so that the mean of an image is its share of class 1."""
    images = make(Augmentation(**{kind: 1.0}), BLACK_AND_WHITE, [0, 1], classes=2)
    drawn = [images[epoch, epoch % 2] for epoch in range(40)]
    for image, label in drawn:
        assert float(image.mean()) == pytest.approx(float(label[1]), abs=1e-5)
        assert float(label.sum()) == pytest.approx(1)
    assert len({float(label[1]) for _, label in drawn}) > 10
    whole = {0.0, 1.0}
    values = {float(value) for image, _ in drawn for value in image.flatten()}
    assert (values <= whole) == (kind == "cutmix")


def test_mixing_without_labels():
    pictures = images_of_array(BLACK_AND_WHITE, [0, 1], "x").without_labels()
    vary = Augmentation(mixup=1.0)
    images = TrainingDataset(pictures, Transform(SIZE, WAYS, vary), seed=0, classes=None)
    means = {float(images[epoch, 0].mean()) for epoch in range(20)}
    assert any(0.01 < mean < 0.99 for mean in means)


def test_every_second_is_mirrored():
    ramp = np.tile(np.arange(8, dtype=np.uint8) * 36, (1, 8, 1))
    images = make(Augmentation(flip=True), ramp, [0])
    left = [bool(images[epoch, 0][0][0, 0, 0] == 0) for epoch in range(200)]
    assert 70 < sum(left) < 130  # five standard deviations of a fair coin
    turned = images[left.index(False), 0][0]
    assert torch.equal(turned.flip(-1), images[left.index(True), 0][0])


def test_nothing_by_default():
    images = make(Augmentation(), BLACK_AND_WHITE, [0, 1])
    assert torch.equal(images[3, 1][0], torch.ones(SIZE))
