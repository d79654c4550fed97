"""Covariances of a layer's inputs."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ghostify.conversion.init import input_moments
from ghostify.conversion.init.input_moments import input_covariances
from ghostify.conversion.init.layerwise import layerwise
from ghostify.types import GhostifyError


def covariances(net, name, batches, channels):
    layers = {name: net.get_submodule(name)}
    with torch.no_grad(), layerwise(net, batches, layers) as (runner, pending):
        arrivals = runner.arrivals(pending[name])
        return input_covariances(name, pending[name], arrivals, len(batches), channels)


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
    (found,) = covariances(nn.Sequential(conv), "0", [images[:4], images[4:]], 3)
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
        (found,) = covariances(nn.Sequential(conv), "0", batches, 20)
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
    found = covariances(nn.Sequential(nn.Conv2d(2, 3, 3)), "0", list(images.split(16)), 2)
    assert [each.shape for each in found] == [(2, 2)] * 9


def test_flattened_maps_are_inputs_of_a_linear_layer():
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    (found,) = covariances(net, "1", list(torch.randn(64, 3, 2, 2).split(8)), 3)
    assert found.shape == (12, 12)


def test_a_layer_that_no_image_reaches():
    class Skips(nn.Sequential):
        def forward(self, x):
            return self[0](x)

    net = Skips(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1))
    with pytest.raises(GhostifyError, match="no calibration image reaches 1"):
        covariances(net, "1", [torch.randn(2, 3, 4, 4)], 4)
