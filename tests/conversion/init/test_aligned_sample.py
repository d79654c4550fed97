"""Inputs of a layer in one network, with outputs of another as targets."""

from contextlib import closing

import pytest
import torch
from torch import nn

from ghostify import GhostifyError
from ghostify.conversion.init import aligned_sample as aligned_sample_module
from ghostify.conversion.init.aligned_sample import aligned_sample
from ghostify.conversion.init.layerwise import LayerwiseRunner, PendingLayer
from ghostify.conversion.init.targets import observe


def sample_of(layer, images, original, original_images, **options):
    """Inputs of ``layer``, targets of ``original`` on other images."""
    seen = observe(nn.Sequential(original), [original_images], {"0": 1000})["0"]
    pending = PendingLayer(layer)
    with closing(LayerwiseRunner(nn.Sequential(pending), [images])) as runner, torch.no_grad():
        return aligned_sample(runner, "0", pending, seen, **options)


def flat(feature_maps):
    return feature_maps.detach().transpose(0, 1).flatten(1)


@pytest.fixture
def conv():
    return nn.Conv2d(3, 4, 3)


@pytest.fixture
def images():
    return torch.randn(2, 3, 6, 6)


def test_targets_are_the_outputs_of_the_original(conv, images):
    noisy = images + torch.randn_like(images) / 10
    sample, _, weight = sample_of(conv, images, conv, noisy)
    assert torch.equal(weight, conv.weight)
    torch.testing.assert_close(sample.targets, flat(conv(noisy)))


def test_positions_are_drawn_once(conv, images, monkeypatch):
    """The original's positions serve for the converted network as well."""
    monkeypatch.setattr(aligned_sample_module, "draw_positions", None)
    sample, *_ = sample_of(conv, images, conv, images)
    torch.testing.assert_close(sample.targets, flat(conv(images)))


@pytest.mark.parametrize("shape", [(2, 3, 7, 6), (3, 3, 6, 6)])
def test_outputs_of_another_shape_belong_to_other_inputs(conv, images, shape):
    sample, *_ = sample_of(conv, images, conv, torch.randn(shape))
    torch.testing.assert_close(sample.targets, flat(conv(images)), rtol=1e-4, atol=1e-5)


def test_outputs_unlike_those_of_the_old_weights_belong_to_other_inputs(conv, images):
    sample, around, _ = sample_of(conv, images, conv, -images, dw_size=3, around=16)
    torch.testing.assert_close(sample.targets, flat(conv(images)), rtol=1e-4, atol=1e-5)
    assert torch.equal(around.targets, sample.targets[:, ::2])


def test_some_positions_have_their_neighbors(conv, images):
    sample, around, _ = sample_of(conv, images, conv, images, dw_size=3, around=10)
    assert len(sample) == 32
    assert torch.equal(around.targets, sample.targets[:, ::3])
    assert torch.equal(around.windows[:, 1:4, 1:4], sample.windows[..., ::3])


def test_a_linear_layer():
    layer, tokens = nn.Linear(3, 5), torch.randn(2, 7, 3)
    sample, _, weight = sample_of(layer, tokens, layer, tokens)
    torch.testing.assert_close(sample.targets, layer(tokens).detach().flatten(0, 1).T)
    assert weight.shape == (5, 3, 1, 1)


def test_a_layer_that_no_image_reaches(conv, images):
    seen = observe(nn.Sequential(conv), [images], {"0": 8})["0"]
    with (
        closing(LayerwiseRunner(nn.Identity(), [images])) as runner,
        pytest.raises(GhostifyError, match="no calibration image reaches last in the converted"),
    ):
        aligned_sample(runner, "last", PendingLayer(conv), seen)
