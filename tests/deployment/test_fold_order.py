"""Which output orders of Ghost modules are folded, and which stay."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import ghostify
from ghostify import GhostModule
from ghostify.types import DeploymentReport

IMAGE = torch.randn(2, 3, 8, 8)


class Net(nn.Module):
    def __init__(self, forward):
        super().__init__()
        self.ghost = GhostModule(3, 6, 3, padding=1)
        self.ghost.order = torch.randperm(6)
        self.norm = nn.BatchNorm2d(6)
        self.norm.running_mean.normal_()
        self.norm.running_var.uniform_(0.5, 2)
        self.depthwise = nn.Conv2d(6, 6, 3, groups=6)
        self.conv = nn.Conv2d(6, 5, 3)
        self.square = nn.Conv2d(6, 6, 1)
        self.grouped = nn.Conv2d(6, 4, 1, groups=2)
        self.second = GhostModule(6, 4, 3)
        self.linear = nn.Linear(6, 5)
        self.wide = nn.Linear(6 * 64, 5)
        self.rows = nn.Linear(8, 2)
        self.scale = nn.Parameter(torch.randn(6, 1, 1))
        self.run = forward

    def forward(self, x):
        return self.run(self, self.ghost(x))


def left(forward):
    net = Net(forward).eval()
    form = ghostify.deploy(net, IMAGE)
    other = torch.randn(3, 3, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(form(other), net(other), rtol=1e-4, atol=1e-4)
    found = DeploymentReport.find(form)
    assert {*found.folded_orders, *found.remaining_orders} == {"ghost"}
    return bool(found.remaining_orders)


MOVES = {
    "a convolution": lambda m, y: m.conv(y),
    "a Ghost module": lambda m, y: m.second(y),
    "a linear layer": lambda m, y: m.linear(y.mean((2, 3))),
    "flat features": lambda m, y: m.wide(F.dropout(y.relu().flatten(1), 0.5, False)),
    "one of a view": lambda m, y: m.wide(y.view(len(y), -1)),
    "behind a norm": lambda m, y: m.conv(m.norm(y).relu()),
    "behind a norm that stays": lambda m, y: m.conv(m.norm(y.relu())),
    "in place": lambda m, y: m.conv(F.relu6(m.norm(y), inplace=True)),
    "behind a depthwise convolution": lambda m, y: m.conv(m.depthwise(y).sigmoid()),
    "behind pooling": lambda m, y: m.linear(F.max_pool2d(y, 2).mean((2, 3), True).flatten(1)),
    "scaled": lambda m, y: m.conv(y * 2 + 1),
    "two readers": lambda m, y: m.conv(y.relu()).sum() + m.second(F.silu(y)).sum(),
    "times itself": lambda m, y: m.conv(y * y.sigmoid()),
    "gated": lambda m, y: m.conv(y * m.square(y.mean((2, 3), True)).sigmoid()),
    "one, twice": lambda m, y: m.conv(y.relu()) + m.conv(y.tanh()),
}  # fmt: skip
STAYS = {
    "returned": lambda m, y: y,
    "also returned": lambda m, y: (m.conv(y), y)[0] * y.sum((1, 2, 3), keepdim=True),
    "a sum": lambda m, y: m.conv(y + m.square(y)),
    "a layer that also reads another": lambda m, y: m.conv(y).sum() + m.conv(m.square(y)).sum(),
    "groups": lambda m, y: m.grouped(y),
    "a slice": lambda m, y: y[:, :2],
    "softmax": lambda m, y: m.conv(y.softmax(1)),
    "rows": lambda m, y: m.rows(y),
    "gates that others read": lambda m, y: (lambda g: m.conv(y * g) * g.sum(1, True))(
        m.square(y.mean((2, 3), True))
    ),
    "a mean of channels": lambda m, y: y.mean(1),
    "a weight read elsewhere": lambda m, y: m.conv(y) * m.conv.weight[:, 0].sum(),
    "a norm read elsewhere": lambda m, y: m.conv(m.norm(y)) + m.norm.weight[0],
    "a norm of others": lambda m, y: m.conv(m.norm(y)) + m.conv(m.norm(m.square(y))),
    "a factor for each channel": lambda m, y: m.conv(y * m.scale),
}


@pytest.mark.parametrize("where", MOVES)
def test_it_goes(where):
    assert not left(MOVES[where])


@pytest.mark.parametrize("where", STAYS)
def test_it_stays(where):
    assert left(STAYS[where])


def test_it_stays_where_a_hook_sees_it():
    net = Net(MOVES["a convolution"]).eval()
    net.ghost.register_forward_hook(lambda module, args, output: None)
    assert DeploymentReport.find(ghostify.deploy(net, IMAGE)).remaining_orders == ("ghost",)
