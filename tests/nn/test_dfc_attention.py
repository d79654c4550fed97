import pytest
import torch
from torch import nn

from ghostify import GhostModule
from ghostify.nn import DFCAttention, GhostModuleV2


@pytest.mark.parametrize("size", [(2, 2), (7, 7), (8, 12), (5, 2)])
def test_a_weight_for_every_position(size):
    weights = DFCAttention(6, 10).eval()(torch.randn(2, 6, *size))
    assert weights.shape == (2, 10, *size)
    assert 0 < weights.min() < weights.max() < 1


def test_it_sees_its_row_and_its_column():
    """Of 10 x 10 halved cells: up to 2 cells away in both directions, and none further."""
    attention = DFCAttention(1, 1).eval()
    for conv in (attention[0], attention[2], attention[4]):
        nn.init.ones_(conv.weight)
    image = torch.zeros(1, 1, 20, 20)
    image[..., 8, 8] = 1.0  # in cell 4, 4
    seen = (attention(image) > 0.5)[0, 0]
    expected = torch.zeros(20, 20, dtype=torch.bool)
    expected[4:14, 4:14] = True
    assert torch.equal(seen, expected)


def test_sevenths_take_the_nearest_of_three():
    """Output i of 7 is cell floor(i * 3 / 7): 0 0 0 1 1 2 2."""
    attention = DFCAttention(1, 1).eval()
    for conv in (attention[2], attention[4]):
        nn.init.dirac_(conv.weight)
    nn.init.ones_(attention[0].weight)
    rows = torch.arange(7.0).view(1, 1, 7, 1).expand(1, 1, 7, 7)
    values = attention(rows)[0, 0, :, 0]
    assert [int((values[: i + 1].diff() != 0).sum()) for i in range(7)] == [0, 0, 0, 1, 1, 2, 2]


def test_maps_are_those_of_the_ghost_module_weighted():
    ghost, attention = GhostModule(6, 10, 1, bias=False, norm=nn.BatchNorm2d), DFCAttention(6, 10)
    attended = GhostModuleV2(ghost, attention).eval()
    x = torch.randn(2, 6, 9, 8)
    assert torch.equal(attended(x), ghost.eval()(x) * attention(x))
    names = {name.partition(".")[0] for name in attended.state_dict()}
    assert names == {"primary_conv", "cheap_operation", "short_conv"}
