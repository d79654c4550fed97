"""What a layer now sees, beside what it should give."""

import pytest
import torch
from torch import nn

from ghostify import GhostifyError
from ghostify.conversion.init.layerwise import LayerwiseRunner, PendingLayer
from ghostify.conversion.init.targets import aligned_sample, observe


def gathered(layer, images, targets, **kinds):
    """Targets from one layer, on other images; inputs for another layer."""
    other, others = targets
    seen = observe(nn.Sequential(other), [others], {"0": 1000})["0"]
    pending = PendingLayer(layer)
    with LayerwiseRunner(nn.Sequential(pending), [images]) as lockstep, torch.no_grad():
        return aligned_sample(lockstep, "0", pending, seen, **kinds)


def flat(maps):
    return maps.detach().permute(0, 2, 3, 1).flatten(0, 2)


@pytest.fixture
def conv():
    return nn.Conv2d(3, 4, 3)


@pytest.fixture
def images():
    return torch.randn(2, 3, 6, 6)


def test_targets_are_the_originals_maps(conv, images):
    noisy = images + torch.randn_like(images) / 10
    sample, weight = gathered(conv, images, (conv, noisy))
    assert torch.equal(weight, conv.weight)
    torch.testing.assert_close(sample.targets, flat(conv(noisy)))


def test_maps_of_another_size_are_those_of_something_else(conv, images):
    for trusted in (False, True):
        sample, _ = gathered(conv, images, (conv, torch.randn(2, 3, 7, 6)), trusted=trusted)
        torch.testing.assert_close(sample.targets[:32], flat(conv(images)), rtol=1e-4, atol=1e-5)


def test_maps_that_resemble_nothing_are_those_of_something_else(conv, images):
    sample, _ = gathered(conv, images, (conv, -images))
    torch.testing.assert_close(sample.targets, flat(conv(images)), rtol=1e-4, atol=1e-5)


def test_unless_they_are_trusted(conv, images):
    sample, _ = gathered(conv, images, (conv, -images), trusted=True)
    torch.testing.assert_close(sample.targets, flat(conv(-images)))


def test_a_linear_layer():
    layer, tokens = nn.Linear(3, 5), torch.randn(2, 7, 3)
    sample, weight = gathered(layer, tokens, (layer, tokens))
    torch.testing.assert_close(sample.targets, layer(tokens).detach().flatten(0, 1))
    assert weight.shape == (5, 3, 1, 1)


def test_a_layer_that_no_image_comes_by(conv, images):
    seen = observe(nn.Sequential(conv), [images], {"0": 8})["0"]
    with (
        LayerwiseRunner(nn.Identity(), [images]) as lockstep,
        pytest.raises(GhostifyError, match="no image of the calibration data comes by last when"),
    ):
        aligned_sample(lockstep, "last", PendingLayer(conv), seen)
