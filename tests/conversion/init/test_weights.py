"""Ghost modules fitted to filters alone, and moments of filters against those of white noise."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

import ghostify
from ghostify import GhostifyError
from ghostify.conversion.init.pair_errors import pair_errors
from ghostify.conversion.init.weights import FilterMoments, filter_errors
from ghostify.planning import plan_sites
from ghostify.types import Fidelity

from ...conftest import SmallNet


def converted(model, **numbers):
    return ghostify.convert(model, torch.zeros(1, 3, 8, 8), init="weights", **numbers)


def with_filters(rows, **kinds):
    """A 1x1 convolution whose filters are ``rows``, behind a stem."""
    weight = torch.tensor(rows, dtype=torch.float32)
    conv = nn.Conv2d(weight.shape[1], len(weight), 1, **kinds)
    conv.weight.data = weight[:, :, None, None]
    return [nn.Conv2d(3, weight.shape[1], 1), conv]


PAIRS = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 3, 0, 0.1], [2, 0, 0, 0]]


def test_pairs_by_hand():
    """Filter 3 is twice filter 0, exactly; 1 and 2 are nearly parallel."""
    model = converted(nn.Sequential(*with_filters(PAIRS, bias=False)), dw_size=1)
    ghost = model[1]
    intrinsic = ghost.primary_conv[0].weight.flatten(1)
    made = ghost.cheap_operation[0].weight.flatten() * intrinsic.T
    found = torch.cat([intrinsic, made.T])
    found = found if ghost.order is None else found[ghost.order]
    assert torch.allclose(found, torch.tensor(PAIRS, dtype=torch.float32), atol=0.11)
    assert Fidelity.find(model).residuals["1"] == pytest.approx(0.01 / 9.01 / 4, rel=1e-2)


def test_the_norm_weights_the_errors():
    """Of four filters at right angles, the one that the norm shrinks becomes a ghost."""
    norm = nn.BatchNorm2d(4)
    norm.running_mean.fill_(1)
    norm.weight.data = torch.tensor([1, 1e-3, 1, 1])
    rows = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    model = nn.Sequential(*with_filters(rows, bias=False), norm)
    ghost = converted(model, ratio=1.34, dw_size=1)
    assert Fidelity.find(ghost).residuals["1"] == pytest.approx(1e-6 / 3, rel=1e-2)


def test_intrinsic_filters_are_the_old_ones(small_net, image):
    ghost = ghostify.convert(small_net, image, init="weights")
    for name in ("wide", "project"):
        module, old = ghost.get_submodule(name), small_net.get_submodule(name)
        places = torch.arange(32) if module.order is None else module.order
        kept = places < 16
        assert torch.equal(module.primary_conv[0].weight[places[kept]], old.weight[kept])
        if old.bias is not None:
            assert torch.equal(module.primary_conv[0].bias[places[kept]], old.bias[kept])


def test_means_are_those_of_the_norm():
    """The norm's mean corrects those of ghosts: kernel times mean is not the mean."""
    norm = nn.BatchNorm2d(4).eval()
    norm.running_mean.copy_(torch.tensor([1.0, 2.0, 3.0, 4.0]))
    model = nn.Sequential(*with_filters(PAIRS, bias=False), norm)
    ghost = converted(model, dw_size=1)
    module = ghost[1]
    order = torch.arange(4) if module.order is None else module.order
    source = torch.arange(4)[order.argsort()][:2]
    kernels = module.cheap_operation[0].weight.flatten()
    given = torch.cat([norm.running_mean[source], kernels * norm.running_mean[source]])[order]
    # What each map now has for its mean is what the norm now takes off.
    assert torch.allclose(ghost[2].running_mean, given)


def test_standardized_filters():
    layers = pytest.importorskip("timm.layers")
    model = nn.Sequential(nn.Conv2d(3, 8, 3), layers.StdConv2d(8, 16, 3), nn.ReLU())
    with torch.no_grad():
        model[1].weight[8:] = 3 * model[1].weight[:8] + 5
    ghost = converted(model, dw_size=1)
    x = torch.randn(2, 3, 8, 8)
    assert Fidelity.find(ghost).residuals["1"] < 1e-4
    assert torch.allclose(ghost(x), model(x), atol=1e-3)


def test_it_is_the_default_for_trained_networks(small_net, image):
    assert Fidelity.find(ghostify.convert(SmallNet(), image)) is None
    assert Fidelity.find(ghostify.convert(small_net, image)).init == "weights"


def test_an_unknown_name_lists_the_known_ones(small_net, image):
    with pytest.raises(GhostifyError, match="must be one of random, weights, calibrated"):
        ghostify.convert(small_net, image, init="magic")


def test_it_needs_an_example(small_net, image):
    plan = plan_sites(ghostify.analyze(small_net, image))
    with pytest.raises(GhostifyError, match="needs an example input"):
        ghostify.convert(small_net, plan=plan, init="weights")


def test_random_resets_both_convolutions(small_net, image):
    ghost = ghostify.convert(small_net, image, init="random")
    assert not torch.equal(ghost.wide.primary_conv[0].weight, small_net.wide.weight[:16])
    assert Fidelity.find(ghost).residuals == {}


@st.composite
def moments_of(draw):
    side = st.sampled_from([1, 2, 3, 5])
    weight = torch.randn(
        4,
        2,
        draw(side),
        draw(side),
        generator=torch.Generator().manual_seed(draw(st.integers(0, 9))),
    )
    pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))
    return FilterMoments(weight, draw(pairs), draw(pairs), draw(st.sampled_from([1, 3, 5])))


def responses(moments):
    """``(n, d^2, pixels)``: outputs around one position as a linear function of each input pixel.

    Covariances under white noise are inner products of these.
    """
    weight, (down, across), (rows, columns) = moments.weight, moments.stride, moments.dilation
    reach = moments.dw_size // 2
    height = 2 * reach * down + rows * (weight.shape[2] - 1) + 1
    width = 2 * reach * across + columns * (weight.shape[3] - 1) + 1
    pixels = weight.shape[1] * height * width
    basis = torch.eye(pixels).view(pixels, weight.shape[1], height, width)
    maps = F.conv2d(basis, weight, stride=moments.stride, dilation=moments.dilation)
    assert maps.shape[2:] == (moments.dw_size, moments.dw_size)
    return maps.permute(1, 2, 3, 0).flatten(1, 2)


@settings(max_examples=60)
@given(moments_of())
def test_moments_are_those_of_white_noise(moments):
    maps = responses(moments)
    middle = maps[:, moments.dw_size**2 // 2]
    chosen = slice(1, 3)
    covariance, cross = moments(chosen)
    expected = maps[chosen] @ maps[chosen].transpose(1, 2)
    torch.testing.assert_close(covariance.float(), expected, rtol=1e-4, atol=1e-4)
    expected = torch.einsum("iup,np->iun", maps[chosen], middle)
    torch.testing.assert_close(cross, expected, rtol=1e-4, atol=1e-4)


@given(moments_of())
def test_pairs_are_entries_of_all(moments):
    sources, targets = moments.weight[[0, 2, 2]], moments.weight[[1, 3, 0]]
    _, cross = moments(slice(None))
    paired = moments.paired(sources, targets).float()
    torch.testing.assert_close(paired, cross[[0, 2, 2], :, [1, 3, 0]], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("stride", "shared"), [(1, 2.0), (2, 1.0), (3, 0.0)])
def test_a_row_of_three_taps_by_hand(stride, shared):
    """Ones at three pixels; a copy shifted by the stride shares fewer of them."""
    moments = FilterMoments(torch.ones(1, 1, 1, 3), (stride, stride), (1, 1), 3)
    covariance, _ = moments(slice(None))
    middle, right, below = 4, 5, 7
    assert covariance[0, middle, middle] == 3
    assert covariance[0, middle, right] == shared
    assert covariance[0, middle, below] == 0


@pytest.mark.parametrize("kernel", [(1, 1), (3, 3)])
def test_errors_are_those_of_all_pairs(kernel):
    """Of 1x1 filters, only the center of a ghost's kernel matters, and the rest is not computed."""
    torch.manual_seed(0)
    moments = FilterMoments(torch.randn(6, 4, *kernel), (1, 1), (1, 1), 3)
    cost, own = filter_errors(moments, 3)
    torch.testing.assert_close(cost, pair_errors(moments, moments.variance, 3))
    assert not own.any()
