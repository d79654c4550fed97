"""Rounding of widths, and squeeze-and-excitation."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ghostify.nn.layers import SqueezeExcite, make_divisible


@pytest.mark.parametrize(
    ("channels", "expected"),
    [(16, 16), (8, 8), (20.8, 20), (31.2, 32), (22, 24), (1, 4), (5.9, 8), (4.4, 4), (14, 16)],
)
def test_by_hand(channels, expected):
    assert make_divisible(channels) == expected


@given(st.floats(0.1, 5000), st.integers(1, 16))
def test_near_and_never_much_less(channels, divisor):
    found = make_divisible(channels, divisor)
    assert found % divisor == 0
    assert found >= max(divisor, 0.9 * channels)
    assert found <= channels + divisor


def test_timm_rounds_alike():
    helpers = pytest.importorskip("timm.layers", reason="timm is an extra")
    for tenths in range(1, 4000, 7):
        assert make_divisible(tenths / 10) == helpers.make_divisible(tenths / 10, 4)


def test_one_factor_for_each_channel():
    layer = SqueezeExcite(12)
    x = torch.rand(2, 12, 5, 7) + 0.5
    factors = layer(x) / x
    assert factors.shape == x.shape
    assert torch.allclose(factors, factors[..., :1, :1].expand_as(x))


def test_hard_sigmoid():
    """relu6(x + 3) / 6: with the last bias at 0, 1.5 and 3, and its weight 0."""
    layer = SqueezeExcite(3)
    layer.conv_expand.weight.data.zero_()
    layer.conv_expand.bias.data = torch.tensor([0.0, 1.5, 3.0])
    found = layer(torch.ones(1, 3, 2, 2))[0, :, 0, 0]
    assert torch.allclose(found, torch.tensor([0.5, 0.75, 1.0]))


def test_hidden_channels():
    assert SqueezeExcite(72).conv_reduce.out_channels == 20  # 18, made divisible by 4
    assert SqueezeExcite(72, 9).conv_reduce.out_channels == 9
