"""Which batch norm can take up a layer's bias."""

import pytest
import torch
from torch import nn

from ghostify.flow import follow


class Net(nn.Module):
    def __init__(self, forward, **layers):
        super().__init__()
        for name, layer in layers.items():
            setattr(self, name, layer)
        self.run = forward

    def forward(self, x):
        return self.run(self, x)


def found(forward, **layers):
    layers = {
        "conv": nn.Conv2d(3, 4, 1),
        "other": nn.Conv2d(3, 4, 1),
        "norm": nn.BatchNorm2d(4),
    } | layers
    return follow(Net(forward, **layers), torch.randn(2, 3, 4, 4)).followers()


def test_a_convolution_with_its_batch_norm():
    assert found(lambda m, x: m.norm(m.conv(x)).relu()) == {"conv": "norm"}


def test_each_has_its_own():
    net = nn.Sequential(
        nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 5, 1), nn.BatchNorm2d(5)
    )
    assert follow(net, torch.zeros(1, 3, 4, 4)).followers() == {"0": "1", "3": "4"}


def test_a_linear_layer():
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 4), nn.BatchNorm1d(4))
    assert follow(net, torch.zeros(2, 3, 2, 2)).followers() == {"1": "2"}


def test_without_running_statistics():
    for norm in (nn.BatchNorm2d(4, track_running_stats=False), nn.GroupNorm(2, 4)):
        assert found(lambda m, x: m.norm(m.conv(x)), norm=norm) == {}


def test_without_scale_and_shift_it_still_has_a_mean():
    norm = nn.BatchNorm2d(4, affine=False)
    assert found(lambda m, x: m.norm(m.conv(x)), norm=norm) == {"conv": "norm"}


def test_reading_a_shape_is_no_use_of_the_values():
    def forward(m, x):
        y = m.conv(x)
        return m.norm(y).view(y.shape[0], y.size(1), -1)

    assert found(forward) == {"conv": "norm"}


SHARED = {
    "two convolutions, one norm": lambda m, x: m.norm(m.conv(x)) + m.norm(m.other(x)),
    "the maps are also added": lambda m, x: (lambda y: m.norm(y) + y)(m.conv(x)),
    "the maps are added before": lambda m, x: m.norm(m.conv(x) + m.other(x)),
    "they are returned": lambda m, x: (lambda y: (m.norm(y), y * 1))(m.conv(x)),
    "something in between": lambda m, x: m.norm(m.conv(x).relu()),
    "the norm also reads another thing": lambda m, x: m.norm(m.conv(x)) + m.norm(x[:, :1] * m.w),
    "a method in place": lambda m, x: m.norm(m.conv(x).mul_(2)),
    "in a list": lambda m, x: (lambda y: m.norm(y) + torch.cat([y[:, :2], y[:, 2:]], 1))(m.conv(x)),
}


@pytest.mark.parametrize("case", SHARED)
def test_what_others_read_or_make_has_no_follower(case):
    assert "conv" not in found(SHARED[case], w=nn.Parameter(torch.ones(1, 4, 1, 1)))


def test_maps_that_are_returned_as_they_are():
    def forward(m, x):
        y = m.conv(x)
        return m.norm(y), y

    assert found(forward) == {}


def test_a_second_norm():
    def forward(m, x):
        y = m.conv(x)
        return m.norm(y) + m.second(y)

    assert found(forward, second=nn.BatchNorm2d(4)) == {}


def test_a_shared_pair_that_is_called_twice():
    assert found(lambda m, x: m.norm(m.conv(x)) + m.norm(m.conv(2 * x))) == {"conv": "norm"}


def test_the_models_norms_are_not_moved():
    norm = nn.BatchNorm2d(4)
    found(lambda m, x: m.norm(m.conv(x)), norm=norm)
    assert not norm.running_mean.any()
