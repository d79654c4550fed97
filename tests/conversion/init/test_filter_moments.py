"""Moments of filters against those of their outputs on white noise."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from ghostify.conversion.init.filter_moments import FilterMoments


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
