import torch

from ghostify.nn import CheapOperation


def test_ghost_j_is_made_of_map_j_modulo_m():
    cheap = CheapOperation(3, 7, 1)
    cheap.weight.data.fill_(1)
    maps = torch.arange(3.0).view(1, 3, 1, 1)
    assert cheap(maps).flatten().tolist() == [0, 1, 2, 0, 1, 2, 0]


def test_kernel_one_is_a_multiplication_by_channel():
    cheap = CheapOperation(2, 2, 1, bias=True)
    cheap.weight.data = torch.tensor([2.0, 3.0]).view(2, 1, 1, 1)
    cheap.bias.data = torch.tensor([10.0, 20.0])
    assert cheap(torch.ones(1, 2, 1, 1)).flatten().tolist() == [12, 23]


def test_random_weights_are_drawn_as_conv2d_draws_them():
    torch.manual_seed(0)
    conv = torch.nn.Conv2d(5, 5, 3, groups=5)
    torch.manual_seed(0)
    cheap = CheapOperation(5, 5, 3, bias=True)
    assert torch.equal(cheap.weight, conv.weight)
    assert torch.equal(cheap.bias, conv.bias)
