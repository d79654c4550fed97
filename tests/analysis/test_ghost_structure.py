"""Ghost modules of other code, whatever their names are."""

from functools import partial

import pytest
import torch
from torch import nn

import ghostify
from ghostify import GhostifyError


def conv(inputs, outputs, size=1, *, stride=1, groups=1, act=True, norm=nn.BatchNorm2d):
    layer = nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False)
    return nn.Sequential(layer, norm(outputs), nn.SiLU(inplace=True) if act else nn.Identity())


class GhostConv(nn.Module):
    """As in Ultralytics."""

    def __init__(self):
        super().__init__()
        self.cv1 = conv(8, 8)
        self.cv2 = conv(8, 8, 5, groups=8)

    def forward(self, x):
        y = self.cv1(x)
        return torch.cat((y, self.cv2(y)), 1)


class Halves(nn.Module):
    """As in the authors' code: kernels with a multiplier, outputs cut off."""

    def __init__(self):
        super().__init__()
        self.one = conv(8, 4, 3)
        self.two = nn.Conv2d(4, 12, 3, padding=1, groups=4)

    def forward(self, x):
        x1 = self.one(x)
        return torch.cat([x1, self.two(x1)], dim=1)[:, :15]


class Cheap(nn.Module):
    """Two cheap operations, the activation after them, other norms."""

    def __init__(self):
        super().__init__()
        group = partial(nn.GroupNorm, 2)
        self.first = conv(8, 8, act=False, norm=group)
        self.a = conv(8, 8, 3, groups=8, act=False, norm=group)
        self.b = nn.Conv2d(8, 8, 5, padding=2, groups=8)
        self.prelu, self.act = nn.PReLU(8), nn.PReLU(24)

    def forward(self, x):
        x = self.prelu(self.first(x))
        return self.act(torch.concat([self.b(x.relu()), self.a(x), x.sigmoid()], -3))


class Net(nn.Module):
    def __init__(self, block, outputs):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.block = block
        self.head = nn.Conv2d(outputs, 8, 3, padding=1)

    def forward(self, x):
        return self.head(self.block(self.stem(x)))


IMAGE = torch.rand(1, 3, 8, 8)
REASON = "part of a Ghost module"


def reasons(block, outputs):
    return {site.name: site for site in ghostify.analyze(Net(block(), outputs), IMAGE)}


@pytest.mark.parametrize(
    ("block", "outputs", "primary"),
    [(GhostConv, 16, "cv1.0"), (Halves, 15, "one.0"), (Cheap, 24, "first.0")],
)
def test_the_primary_convolution_is_neither_replaced_nor_pruned(block, outputs, primary):
    sites = reasons(block, outputs)
    found = [name for name, site in sites.items() if site.ineligible == REASON]
    assert found == [f"block.{primary}"]
    assert sites[f"block.{primary}"].unprunable == REASON
    assert sites["head"].ineligible is None


class Other(nn.Module):
    """No Ghost modules: what is concatenated are not the feature maps that the depthwise reads."""

    def __init__(self, kind):
        super().__init__()
        self.kind = kind
        self.a, self.b = conv(8, 8), conv(8, 8)
        self.depthwise = conv(8, 8, 3, groups=8, stride=2 if kind == "pooled" else 1)
        self.dense = conv(8, 8, 3)

    def forward(self, x):
        a = self.a(x)
        if self.kind == "another convolution":
            return torch.cat([a, self.depthwise(self.b(x))], 1)
        if self.kind == "a convolution between":
            return torch.cat([a, self.depthwise(self.b(a))], 1)
        if self.kind == "dense":
            return torch.cat([a, self.dense(a)], 1)
        if self.kind == "added":
            return a + self.depthwise(a)
        if self.kind == "a sum":
            return torch.cat([a + x, self.depthwise(a)], 1)
        if self.kind == "another call":
            return torch.cat([self.a(x.relu()), self.depthwise(a)], 1)
        if self.kind == "not concatenated":
            return self.depthwise(a)
        assert self.kind == "pooled"
        return torch.cat([nn.functional.max_pool2d(a, 2), self.depthwise(a)], 1)


KINDS = {
    "another convolution": 16, "a convolution between": 16, "dense": 16, "added": 8, "a sum": 16,
    "another call": 16, "not concatenated": 8, "pooled": 16,
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_ghost_module(kind):
    sites = reasons(lambda: Other(kind), KINDS[kind])
    assert sites["block.a.0"].ineligible is None
    assert REASON not in {site.ineligible for site in sites.values()}


def test_a_network_of_them_is_not_converted_again():
    net = nn.Sequential(nn.Conv2d(3, 8, 3), GhostConv())
    with pytest.raises(GhostifyError, match=f"every convolution is kept .*{REASON}"):
        ghostify.convert(net, IMAGE)
