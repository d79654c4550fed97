"""Producer-consumer graph of small networks."""

import warnings

import pytest
import torch
from torch import nn

from ghostify import GhostModule
from ghostify.analysis.dataflow import trace_dataflow


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
    return trace_dataflow(Net(forward, **layers), torch.randn(2, 3, 4, 4)).following_norms()


def test_a_convolution_with_its_batch_norm():
    assert found(lambda m, x: m.norm(m.conv(x)).relu()) == {"conv": "norm"}


def test_each_has_its_own():
    net = nn.Sequential(
        nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 5, 1), nn.BatchNorm2d(5)
    )
    assert trace_dataflow(net, torch.zeros(1, 3, 4, 4)).following_norms() == {"0": "1", "3": "4"}


def test_a_linear_layer():
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 4), nn.BatchNorm1d(4))
    assert trace_dataflow(net, torch.zeros(2, 3, 2, 2)).following_norms() == {"1": "2"}


def test_without_running_statistics():
    for norm in (nn.BatchNorm2d(4, track_running_stats=False), nn.GroupNorm(2, 4)):
        assert found(lambda m, x: m.norm(m.conv(x)), norm=norm) == {}


def test_without_scale_and_shift_it_still_has_a_mean():
    norm = nn.BatchNorm2d(4, affine=False)
    assert found(lambda m, x: m.norm(m.conv(x)), norm=norm) == {"conv": "norm"}


def test_reading_a_shape_does_not_count():
    def forward(m, x):
        y = m.conv(x)
        return m.norm(y).view(y.shape[0], y.size(1), -1)

    assert found(forward) == {"conv": "norm"}


SHARED = {
    "two convolutions, one norm": lambda m, x: m.norm(m.conv(x)) + m.norm(m.other(x)),
    "also added": lambda m, x: (lambda y: m.norm(y) + y)(m.conv(x)),
    "added before": lambda m, x: m.norm(m.conv(x) + m.other(x)),
    "returned": lambda m, x: (lambda y: (m.norm(y), y * 1))(m.conv(x)),
    "something in between": lambda m, x: m.norm(m.conv(x).relu()),
    "the norm also reads another thing": lambda m, x: m.norm(m.conv(x)) + m.norm(x[:, :1] * m.w),
    "a method in place": lambda m, x: m.norm(m.conv(x).mul_(2)),
    "in a list": lambda m, x: (lambda y: m.norm(y) + torch.cat([y[:, :2], y[:, 2:]], 1))(m.conv(x)),
}


@pytest.mark.parametrize("case", SHARED)
def test_other_consumers_or_producers(case):
    assert "conv" not in found(SHARED[case], w=nn.Parameter(torch.ones(1, 4, 1, 1)))


def test_a_returned_output():
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


def test_a_ghost_module_is_one_layer():
    net = nn.Sequential(GhostModule(3, 4, 1), nn.BatchNorm2d(4), nn.ReLU())
    flow = trace_dataflow(net, torch.zeros(1, 3, 4, 4))
    assert flow.following_norms() == {"0": "1"}
    assert set(flow.steps) == {"0", "1"}


class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, grad):
        return grad * 2


def test_an_autograd_function_reads():
    assert found(lambda m, x: (lambda y: m.norm(y) + Doubled.apply(y))(m.conv(x))) == {}


def test_scripted_code_reads():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        half = torch.jit.trace(nn.Hardtanh(), torch.ones(1, 4, 4, 4))
    assert found(lambda m, x: (lambda y: m.norm(y) + half(y))(m.conv(x))) == {}


def test_an_output_in_an_object():
    class Result:
        def __init__(self, value):
            self.value = value

    assert found(lambda m, x: (lambda y: (m.norm(y), Result(y)))(m.conv(x))) == {}


def test_a_batch_norm_with_another_use_of_its_input():
    class Gated(nn.BatchNorm2d):
        def forward(self, x):
            return super().forward(x) * x.sigmoid()

    assert found(lambda m, x: m.norm(m.conv(x)), norm=Gated(4)) == {}


def shared(forward, **layers):
    net = Net(forward, conv=nn.Conv2d(3, 4, 1), other=nn.Conv2d(3, 4, 1), **layers)
    return net, lambda: trace_dataflow(net, torch.randn(2, 3, 4, 4)).shared


def test_a_weight_that_is_read_elsewhere():
    _, flow = shared(lambda m, x: m.conv(x) + m.conv.weight.sum())
    assert flow() == {"conv"}


def test_a_weight_of_two_layers():
    net, flow = shared(lambda m, x: m.conv(x) + m.other(x))
    assert flow() == set()
    net.other.weight = net.conv.weight
    assert flow() == {"conv", "other"}


def test_a_weight_of_a_layer_that_does_not_run():
    net, flow = shared(lambda m, x: m.conv(x))
    net.other.weight = net.conv.weight
    assert flow() == {"conv", "other"}


def test_no_ops():
    net = nn.Sequential(nn.Dropout(), nn.Conv2d(3, 4, 1), nn.ReLU(inplace=True), nn.Identity())
    assert trace_dataflow(net, torch.zeros(1, 3, 4, 4)).no_ops == ["0", "3"]


class FirstInput(nn.Module):
    def forward(self, x, other=None):
        return x


def test_a_module_that_passes_one_of_two_inputs_is_no_no_op():
    image = torch.zeros(1, 3, 4, 4)
    net = Net(lambda m, x: m.first(x, x + 1), first=FirstInput())
    assert trace_dataflow(net, image).no_ops == []
    net.run = lambda m, x: m.first(x)
    assert trace_dataflow(net, image).no_ops == ["first"]


class SecondCallPasses(nn.Module):
    called = False

    def forward(self, x):
        called, self.called = self.called, True
        return x if called else x + 1


def test_a_no_op_is_one_in_every_call():
    net = Net(lambda m, x: m.inner(m.inner(x)), inner=SecondCallPasses())
    assert trace_dataflow(net, torch.zeros(1, 3, 4, 4)).no_ops == []


def test_an_operation_in_place_makes_another_value():
    flow = trace_dataflow(
        nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(inplace=True), nn.Conv2d(4, 4, 1)),
        torch.zeros(1, 3, 4, 4),
    )
    (made,) = flow.steps["0"][0].outputs
    (relu,) = made.consumers
    assert relu.outputs == flow.steps["2"][0].inputs != [made]
