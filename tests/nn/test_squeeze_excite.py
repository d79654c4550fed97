import torch

from ghostify.nn import SqueezeExcite


def test_one_factor_for_each_channel():
    layer = SqueezeExcite(12)
    x = torch.rand(2, 12, 5, 7) + 0.5
    factors = layer(x) / x
    assert factors.shape == x.shape
    assert torch.allclose(factors, factors[..., :1, :1].expand_as(x))


def test_hard_sigmoid():
    """relu6(x + 3) / 6: with the last bias at 0, 1.5 and 3, and its weight nought."""
    layer = SqueezeExcite(3)
    layer.conv_expand.weight.data.zero_()
    layer.conv_expand.bias.data = torch.tensor([0.0, 1.5, 3.0])
    found = layer(torch.ones(1, 3, 2, 2))[0, :, 0, 0]
    assert torch.allclose(found, torch.tensor([0.5, 0.75, 1.0]))


def test_hidden_channels():
    assert SqueezeExcite(72).conv_reduce.out_channels == 20  # 18, made divisible by 4
    assert SqueezeExcite(72, 9).conv_reduce.out_channels == 9
