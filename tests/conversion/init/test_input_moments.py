"""Covariances of a layer's inputs."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ghostify.conversion.init import input_moments
from ghostify.conversion.init.conv_call import call_of
from ghostify.conversion.init.input_moments import InputMoments
from ghostify.conversion.init.sample import draw_positions


def covariances(layer, inputs, channels):
    """The covariance at all positions, or as many as the layer takes."""
    moments = InputMoments(layer.weight[0].numel(), channels)
    for batch in inputs:
        call = call_of(layer, (batch,))
        moments.add(call, draw_positions("", call.output_shape, int(moments.positions)))
    return moments.covariances()


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(3, 4, 3, padding=1),
        nn.Conv2d(3, 4, (1, 3), stride=2, padding=(0, 2), dilation=2),
        nn.Conv2d(3, 4, 3, padding="same", padding_mode="reflect"),
    ],
)
def test_diagonal_is_the_variance_of_all_patches(conv):
    images = torch.randn(8, 3, 9, 9) + 5
    (found,) = covariances(conv, [images[:4], images[4:]], 3)
    padded = images
    if conv.padding_mode == "reflect":
        padded = F.pad(images, (1, 1, 1, 1), mode="reflect")
    padding = 0 if conv.padding_mode == "reflect" else conv.padding
    patches = F.unfold(padded, conv.kernel_size, conv.dilation, padding, conv.stride)
    patches = patches.transpose(1, 2).flatten(0, 1).double()
    expected = patches.T.cov(correction=0)
    torch.testing.assert_close(found.diagonal(), expected.diagonal(), rtol=1e-4, atol=1e-5)


def test_correlations_are_kept_where_data_is_plenty_and_lost_where_it_is_noise():
    conv = nn.Conv2d(20, 4, 1)
    mixed = torch.randn(20, 20)

    def correlation(number, mix):
        batches = [torch.randn(number, 20, 4, 4) for _ in range(8)]
        batches = [torch.einsum("ij,bjhw->bihw", mix, batch) for batch in batches]
        (found,) = covariances(conv, batches, 20)
        off = found - found.diagonal().diag()
        true = mix.double() @ mix.double().T
        return float((off * (true - true.diagonal().diag())).sum()), off, true

    _, off, true = correlation(64, mixed)
    torch.testing.assert_close(off, true - true.diagonal().diag(), rtol=0.2, atol=1.0)
    _, off, _ = correlation(1, torch.eye(20))
    noise = torch.randn(128, 20, dtype=torch.float64).T.cov()
    assert off.square().sum() < 0.3 * (noise - noise.diagonal().diag()).square().sum()


def test_taps_of_many_inputs_count_as_uncorrelated(monkeypatch):
    monkeypatch.setattr(input_moments, "_MAX_INPUTS", 17)
    images = torch.randn(64, 2, 5, 5)
    found = covariances(nn.Conv2d(2, 3, 3), images.split(16), 2)
    assert [each.shape for each in found] == [(2, 2)] * 9


def test_products_of_blocks_are_those_of_all(monkeypatch):
    conv, batches = nn.Conv2d(5, 3, 3), [torch.randn(4, 5, 9, 9) for _ in range(3)]
    whole = covariances(conv, batches, 5)
    monkeypatch.setattr(input_moments, "_BLOCK", 7)
    torch.testing.assert_close(covariances(conv, batches, 5), whole, rtol=1e-4, atol=1e-5)
    assert torch.equal(whole[0], whole[0].T)


def test_inputs_of_a_linear_layer():
    (found,) = covariances(nn.Linear(12, 3), torch.randn(64, 12).split(8), 3)
    assert found.shape == (12, 12)
