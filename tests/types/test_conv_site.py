import pytest
from torch import nn

from ghostify.types import Geometry


@pytest.mark.parametrize(
    ("conv", "text"),
    [
        (nn.Conv2d(64, 128, 3, stride=2), "3x3, 64→128, /2"),
        (nn.Conv2d(64, 128, 1), "1x1, 64→128"),
        (nn.Conv2d(4, 8, (1, 7), stride=(1, 2)), "1x7, 4→8, /1x2"),
        (nn.Conv2d(8, 8, 3, groups=8, dilation=2), "3x3, 8→8, dilation 2, g=8"),
        (nn.Conv1d(4, 8, 5), "5, 4→8"),
    ],
)
def test_text(conv, text):
    assert str(Geometry.of(conv)) == text


@pytest.mark.parametrize(
    "conv",
    [nn.Conv2d(6, 9, 3), nn.Conv2d(6, 9, (1, 5), groups=3), nn.ConvTranspose2d(6, 4, 2, groups=2)],
)
def test_weights_are_those_of_the_module(conv):
    assert Geometry.of(conv).weights == conv.weight.numel()
