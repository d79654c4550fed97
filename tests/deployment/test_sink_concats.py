"""Concatenations of Ghost modules sink, and the outputs stay."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ghostify.deployment.sink_concats import sink_concats
from ghostify.nn import DeployedGhostModule

WEIGHT, DEPTHWISE = torch.randn(5, 8, 3, 3), torch.randn(8, 1, 3, 3)
NORM = nn.BatchNorm2d(8).eval().requires_grad_(False)
NORM.running_mean.normal_()
CONV = nn.Conv2d(8, 2, 3, stride=2).requires_grad_(False)

SINKS = {
    "relu": lambda x: F.relu(x),
    "in place": lambda x: F.relu(x, inplace=True),
    "module in place": lambda x: nn.ReLU6(inplace=True)(x),
    "method": lambda x: x.relu_(),
    "scaled": lambda x: x * 2,
    "gated": lambda x: torch.arange(16.0).view(2, 8, 1, 1) * x,
    "gated by its means": lambda x: x * x.mean((2, 3), keepdim=True).sigmoid(),
    "pool": lambda x: nn.MaxPool2d(2)(x),
    "norm": lambda x: NORM(x),
    "depthwise": lambda x: F.conv2d(x, DEPTHWISE, torch.arange(8.0), 2, 1, groups=8),
    "depthwise, positions": lambda x: F.conv2d(x, DEPTHWISE, None, 1, 1, 1, 8),
    "depthwise, padding by name": lambda x: F.conv2d(x, DEPTHWISE, None, 1, "same", 1, 8),
    "dropout": lambda x: F.dropout(x, training=False),
    "sum of alike": lambda x: x + x.relu(),
    "sum in place": lambda x: F.silu(x).add_(x),
}
GONE = {
    "convolution": lambda x: F.conv2d(x, WEIGHT, torch.arange(5.0), padding=1),
    "module": lambda x: CONV(x),
    "padding by name": lambda x: F.conv2d(x, WEIGHT, padding="same"),
    "two readers": lambda x: F.conv2d(x.relu(), WEIGHT) + F.conv2d(x.tanh(), WEIGHT),
}
POOLED = {
    "mean": lambda x: x.mean((2, 3)),
    "pooled": lambda x: F.adaptive_avg_pool2d(x, 1).relu(),
}
STAYS = {
    "grouped": lambda x: F.conv2d(x, torch.ones(4, 4, 1, 1), groups=2),
    "multiplier": lambda x: F.conv2d(x, torch.ones(16, 1, 1, 1), groups=8),
    "transposed": lambda x: F.conv_transpose2d(x, torch.ones(8, 2, 1, 1)),
    "kernel": lambda x: F.conv2d(torch.ones(1, 8, 9, 9), x),
    "mean over channels": lambda x: x.mean(1),
    "flat": lambda x: torch.flatten(x, 1),
    "view": lambda x: x.view(x.shape[0], -1),
    "slice": lambda x: x[:, 2:6],
    "chunks": lambda x: torch.cat(x.chunk(2, 1)[::-1], 1),
    "sum of unlike": lambda x: x + torch.arange(576.0).view(2, 8, 6, 6),
    "row": lambda x: x * torch.arange(6.0),
    "linear": lambda x: F.linear(x, torch.ones(3, 6)),
    "bounds by channel": lambda x: x.clamp(min=torch.arange(8.0).view(8, 1, 1)),
    "norm of the batch": lambda x: F.batch_norm(x, None, None, training=True),
    "softmax": lambda x: x.softmax(1),
    "max": lambda x: x.max(),
    "written": lambda x: (x[0, 0].fill_(7.0), x)[1] * 1,
    "written in a view": lambda x: (x[:, 1].fill_(3), x)[1] * 1,
    "written after it was read": lambda x: (x * 2, x.relu_())[0] + x,
    "two outputs": lambda x: (x, x.relu().sum())[0],
}  # fmt: skip


class Net(nn.Module):
    """One deployed Ghost module of 4 + 3 + 1 channels, and what reads it."""

    def __init__(self, reader):
        super().__init__()
        first = nn.Conv2d(3, 4, 3, padding=1)
        cheap = [nn.Conv2d(n, n, 3, padding=1, groups=n) for n in (3, 1)]
        self.ghost = DeployedGhostModule(first, nn.Identity(), cheap, 4, (3, 1))
        self.reader = reader

    def forward(self, x):
        return self.reader(self.ghost(x))


def sunk(reader, *, below_convolutions=True, **keywords):
    """The graph once its concatenations have sunk; its outputs are the network's."""
    net, x = Net(reader).eval().requires_grad_(False), torch.randn(2, 3, 6, 6)
    expected = net(x)
    program = torch.export.export(net, (x,), strict=False, **keywords)
    sink_concats(program, below_convolutions=below_convolutions)
    torch.testing.assert_close(program.module()(x), expected)
    return program


def concats(program):
    return [n for n in program.graph.nodes if n.target is torch.ops.aten.cat.default]


@pytest.mark.parametrize("name", SINKS)
def test_it_sinks_to_the_output(name):
    program = sunk(SINKS[name])
    (output,) = program.graph.output_node().args[0]
    assert [node for node in concats(program) if node.meta["val"].shape[2:] != (1, 1)] == [output]


@pytest.mark.parametrize("name", GONE)
def test_it_is_gone(name):
    assert concats(sunk(GONE[name])) == []


def test_a_convolution_may_read_it_whole():
    program = sunk(lambda x: F.conv2d(x.relu(), WEIGHT), below_convolutions=False)
    (concat,) = concats(program)
    assert [node.target for node in concat.users] == [torch.ops.aten.conv2d.default]
    relu = torch.ops.aten.relu.default
    assert {part.target for part in concat.args[0]} == {relu}


@pytest.mark.parametrize("name", POOLED)
def test_means_are_concatenated(name):
    (concat,) = concats(sunk(POOLED[name]))
    assert concat.meta["val"].numel() == 16


@pytest.mark.parametrize("name", STAYS)
def test_it_stays(name):
    program = sunk(STAYS[name])
    assert any(node.meta["val"].shape == (2, 8, 6, 6) for node in concats(program))


def test_concatenations_of_the_network_stay():
    program = sunk(lambda x: torch.cat([x, torch.ones(2, 1, 6, 6), x], 1).relu())
    (output,) = program.graph.output_node().args[0]
    assert output.target is torch.ops.aten.relu.default
    assert len(concats(program)) == 2


def test_any_batch():
    program = sunk(
        lambda x: F.conv2d(x.relu_(), WEIGHT).flatten(1),
        dynamic_shapes=({0: torch.export.Dim.DYNAMIC},),
    )
    assert concats(program) == []
    images = torch.randn(5, 3, 6, 6)
    assert program.module()(images).shape == (5, 80)


def test_what_is_written_is_a_program_of_its_own(tmp_path):
    program = sunk(SINKS["norm"])
    torch.export.save(program, tmp_path / "net.pt2")
    image = torch.randn(2, 3, 6, 6)
    loaded = torch.export.load(tmp_path / "net.pt2")
    torch.testing.assert_close(loaded.module()(image), program.module()(image))
