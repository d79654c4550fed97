from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from ghostify.types import Geometry, GhostifyError


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


@pytest.mark.parametrize(
    ("weight", "dims"), [((4, 3, 5), 1), ((4, 3, 5, 5), 2), ((4, 3, 5, 5, 5), 3), ((4, 3), 2)]
)
def test_modules_that_give_one_number_for_all_dimensions(weight, dims):
    """Such as those of MMCV and of old checkpoints; some have no weight either."""
    numbers = {"kernel_size": 5, "stride": 2, "padding": 1, "dilation": 1}
    conv = SimpleNamespace(
        in_channels=3, out_channels=4, groups=1, weight=torch.zeros(weight), **numbers
    )
    found = Geometry.of(conv)
    assert found.kernel_size == (5,) * dims
    assert found.stride == (2,) * dims
    assert not found.bias
    assert found.padding_mode == "zeros"
    del conv.weight
    assert Geometry.of(conv).padding == (1, 1)


def test_fewer_channels():
    plain = Geometry.of(nn.Conv2d(8, 12, 3, groups=2))
    assert plain.narrowed() == plain
    assert plain.narrowed(inputs=4).in_channels == 4
    assert plain.narrowed(outputs=6) == Geometry.of(nn.Conv2d(8, 6, 3, groups=2))
    depthwise = Geometry.of(nn.Conv2d(8, 8, 3, groups=8))
    assert depthwise.narrowed(6, 6) == Geometry.of(nn.Conv2d(6, 6, 3, groups=6))
    assert not Geometry.of(nn.Conv2d(1, 1, 3)).depthwise


@pytest.mark.parametrize("name", ["in_channels", "out_channels", "groups"])
def test_no_channels(name):
    with pytest.raises(GhostifyError, match=rf"`{name}` \(=0\) must be at least 1"):
        replace(Geometry.of(nn.Conv2d(4, 4, 3)), **{name: 0})
