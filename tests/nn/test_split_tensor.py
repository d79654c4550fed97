"""Maps that are kept apart behave as their concatenation."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ghostify.nn.split_tensor import Parts, concatenation, kept_apart


@pytest.fixture
def maps():
    return [torch.randn(2, width, 6, 6) for width in (4, 3, 1)]


WEIGHT, DEPTHWISE = torch.randn(5, 8, 3, 3), torch.randn(8, 1, 3, 3)
NORM = nn.BatchNorm2d(8).eval().requires_grad_(False)
NORM.running_mean.normal_()
OTHERS = [torch.randn(2, width, 6, 6) for width in (4, 3, 1)]

APART = {
    "relu": lambda x: F.relu(x),
    "in place": lambda x: F.relu(x, inplace=True),
    "module in place": lambda x: nn.ReLU6(inplace=True)(x),
    "method": lambda x: x.relu_(),
    "scaled": lambda x: x * 2,
    "gated": lambda x: torch.arange(16.0).view(2, 8, 1, 1) * x,
    "pool": lambda x: nn.MaxPool2d(2)(x),
    "norm": lambda x: NORM(x),
    "depthwise": lambda x: F.conv2d(x, DEPTHWISE, torch.arange(8.0), 2, 1, groups=8),
    "depthwise, positions": lambda x: F.conv2d(x, DEPTHWISE, None, 1, 1, 1, 8),
    "dropout": lambda x: F.dropout(x, training=False),
    "sum of alike": lambda x: x + concatenation(OTHERS),
    "sum in place": lambda x: x.add_(concatenation(OTHERS)),
}
NEEDED = {
    "convolution": lambda x: F.conv2d(x, WEIGHT, torch.arange(5.0), padding=1),
    "module": lambda x: nn.Conv2d(8, 2, 3, stride=2)(x),
    "grouped": lambda x: F.conv2d(x, torch.ones(4, 4, 1, 1), groups=2),
    "multiplier": lambda x: F.conv2d(x, torch.ones(16, 1, 1, 1), groups=8),
    "mean": lambda x: x.mean((2, 3)),
    "mean over channels": lambda x: x.mean(1),
    "pooled": lambda x: F.adaptive_avg_pool2d(x, 1),
    "flat": lambda x: torch.flatten(x, 1),
    "view": lambda x: x.view(x.shape[0], -1),
    "size": lambda x: torch.zeros(x.size(1), x.size()[2]) + x.size(dim=3),
    "slice": lambda x: x[:, 2:6],
    "chunks": lambda x: torch.cat(x.chunk(2, 1)[::-1], 1),
    "cat": lambda x: torch.cat([x, torch.ones(2, 1, 6, 6), x], 1),
    "sum of unlike": lambda x: x + torch.arange(576.0).view(2, 8, 6, 6),
    "linear": lambda x: F.linear(x, torch.ones(3, 6)),
    "bounds by channel": lambda x: x.clamp(min=torch.arange(8.0).view(8, 1, 1)),
    "softmax": lambda x: x.softmax(1),
    "max": lambda x: x.max(),
    "numpy": lambda x: torch.from_numpy(x.numpy()),
    "written": lambda x: (x.__setitem__((0, 0), 7.0), x)[1] * 1,
    "written in a view": lambda x: (x[:, 1].fill_(3), x)[1] * 1,
}  # fmt: skip


def run(case, maps):
    torch.manual_seed(1)
    return case([m.clone() for m in maps])


@pytest.mark.parametrize("name", [*APART, *NEEDED])
def test_as_the_concatenation(name, maps):
    case = (APART | NEEDED)[name]
    expected = run(lambda m: case(torch.cat(m, 1)), maps)
    with kept_apart(), torch.no_grad():
        found = run(lambda m: case(concatenation(m)), maps)
        assert isinstance(found, Parts) == (name in APART or "written" in name)
        assert found.shape == expected.shape
        torch.testing.assert_close(found.clone() if name in NEEDED else found + 0, expected + 0)


def test_a_tensor_to_those_who_ask(maps):
    with kept_apart():
        made = concatenation(maps)
    assert isinstance(made, torch.Tensor)
    assert made.shape == (2, 8, 6, 6)
    assert (made.dim(), made.dtype, made.device.type) == (4, torch.float32, "cpu")


def test_elsewhere_a_concatenation_is_made(maps):
    assert type(concatenation(maps)) is torch.Tensor
    with kept_apart():
        assert type(concatenation([m[0] for m in maps])) is torch.Tensor  # no batch dimension


def test_an_export_has_no_concatenation_and_any_batch():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1)
            self.last = nn.Conv2d(8, 2, 3)

        def forward(self, x):
            return self.last(concatenation([self.first(x), self.second(x)]).relu())

    net, x = Net().eval(), torch.randn(2, 3, 8, 8)
    with kept_apart(), torch.no_grad():
        program = torch.export.export(
            net, (x,), strict=False, dynamic_shapes=({0: torch.export.Dim.DYNAMIC},)
        )
    assert not any("cat" in str(node.target) for node in program.graph.nodes)
    images = torch.randn(5, 3, 8, 8)
    torch.testing.assert_close(program.module()(images), net(images))
