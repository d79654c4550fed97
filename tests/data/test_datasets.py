import numpy as np
import pytest
import torch

from ghostify import GhostifyError
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


@pytest.mark.parametrize("scale", [0.25, 0.7])
def test_crops_show_at_least_their_share_of_the_image(scale):
    """Red grows to the right and green downwards, so that their ranges are the sides of a crop."""
    ramp = np.tile(np.arange(64, dtype=np.uint8) * 4, (64, 1))
    pixels = np.stack([ramp, ramp.T, ramp], 2)[None]
    transform = Transform((3, 32, 32), WAYS, Augmentation(crop_scale=scale))
    crops = TrainingDataset(images_of_array(pixels, [0], "x"), transform, seed=0, classes=None)
    sides = [crops[epoch, 0][0][:2].flatten(1) for epoch in range(200)]
    areas = [float((side.amax(1) - side.amin(1)).prod()) for side in sides]
    assert scale * 0.85 < min(areas) < scale * 1.1
    assert max(areas) > 0.85
    assert all(crop.shape == (2, 32 * 32) for crop in sides)


def test_randaugment_changes_what_the_setting_says():
    noise = np.random.default_rng(0).integers(0, 256, (1, 8, 8), np.uint8)
    plain = make(Augmentation(), noise, [0])[0, 0][0]
    changed = make(Augmentation(randaugment=9), noise, [0])
    assert sum(not torch.equal(changed[epoch, 0][0], plain) for epoch in range(20)) > 10


def test_the_next_readable_image_stands_in():
    images = make(Augmentation(), np.stack([*BLACK_AND_WHITE, *BLACK_AND_WHITE]), [0, 1, 2, 3])
    object.__setattr__(images.images, "items", ["broken", *images.images.items[1:3], "broken"])
    assert [images[0, index][1] for index in range(4)] == [1, 1, 2, 1]
    assert images.skipped().keys() == {"x[0]", "x[3]"}
    assert images.for_evaluation().skipped().keys() == {"x[0]", "x[3]"}
    object.__setattr__(images.images, "items", ["broken"] * 4)
    with pytest.raises(GhostifyError, match="no image can be read any more"):
        images[0, 2]
    with pytest.raises(GhostifyError, match="none of the images can be read: 4 skipped"):
        images.check()
