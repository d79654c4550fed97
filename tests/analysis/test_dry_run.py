import random
from contextlib import suppress

import numpy as np
import pytest
import torch
from torch import nn

import ghostify
from ghostify import GhostifyError
from ghostify.analysis.dry_run import dry_run, materialize
from ghostify.analysis.forward_observer import ForwardObserver
from ghostify.analysis.preserve import eval_mode
from ghostify.planning.flops import count


class Net(nn.Module):
    """A small network with a forward that each test gives."""

    def __init__(self, forward):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.body = forward

    def forward(self, x):
        return self.body(self, x)


IMAGE = torch.rand(2, 3, 8, 8)


def test_shapes_are_enough_for_most():
    run = dry_run(Net(lambda net, x: net.norm(net.conv(x))), IMAGE)
    assert run.on_meta
    assert run.output.shape == (2, 4, 6, 6)
    assert run.output.is_meta


@pytest.mark.parametrize(
    "forward",
    [
        lambda net, x: net.conv(x) if x.sum() > 0 else x,
        lambda net, x: net.conv(x)[:, :, : int(x.max().ceil())],
        lambda net, x: torch.from_numpy(net.conv(x).numpy()),
        lambda net, x: net.conv(x).tolist(),
    ],
)
def test_values_are_computed_where_they_are_needed(forward):
    assert not dry_run(Net(forward), IMAGE).on_meta


@pytest.mark.parametrize("real", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_no_trace_is_left(real, training):
    def forward(net, x):
        random.random(), np.random.rand(), torch.rand(1)
        net.calls = 1
        y = nn.functional.dropout(net.norm(net.conv(x)))
        return y if not real or y.sum() != 0 else None

    net = Net(forward).train()
    net.norm.eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    attributes = set(vars(net))
    random.seed(0), np.random.seed(0), torch.manual_seed(0)
    expected = random.random(), np.random.rand(), torch.rand(1)
    random.seed(0), np.random.seed(0), torch.manual_seed(0)
    assert dry_run(net, IMAGE, training=training).on_meta is not real
    assert (random.random(), np.random.rand(), torch.rand(1)) == expected
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert (net.training, net.norm.training) == (True, False)
    assert set(vars(net)) == attributes
    assert not torch.nn.modules.module._global_forward_hooks


def test_tracing_draws_no_random_numbers():
    def forward(net, x):
        keep = torch.rand(()) + random.random() if net.training else 1
        return net.conv(x) * keep

    random.seed(0), torch.manual_seed(0)
    expected = random.random(), torch.rand(1)
    net = Net(forward)
    random.seed(0), torch.manual_seed(0)
    ghostify.analyze(net, IMAGE)
    assert (random.random(), torch.rand(1)) == expected


def test_what_goes_wrong_is_said_with_its_place():
    with pytest.raises(GhostifyError, match=r"Net does not run on .* 1x5x8x8: at conv, Conv2d"):
        dry_run(Net(lambda net, x: net.conv(x)), torch.zeros(1, 5, 8, 8))


@pytest.mark.parametrize(("size", "training"), [(8, False), (3, True)])
def test_batch_norm_that_cannot_run(size, training):
    net = Net(lambda net, x: net.norm(net.conv(x)))
    if not training:
        net.norm = nn.BatchNorm2d(5)
    with pytest.raises(GhostifyError, match="at norm, BatchNorm2d"):
        dry_run(net, torch.zeros(1, 3, size, size), training=training)


def test_generators_are_run_to_their_end():
    def forward(net, x):
        yield net.conv(x)
        yield x

    assert len(dry_run(Net(forward), IMAGE).output) == 2


def write(net, x):
    """A forward that needs values, and writes into all it can reach."""
    net.conv.weight.mul_(0.5 if x.sum() > 0 else 1)
    net.conv.bias.data.zero_()
    x.relu_()
    return net.conv(x.data.neg_())


@pytest.mark.parametrize("run", [dry_run, ghostify.analyze, count])
def test_what_a_forward_writes_stays_in_the_copy(run):
    net, x = Net(write), IMAGE.clone()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    run(net, x)
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert torch.equal(x, IMAGE)


def test_lazy_modules_see_an_example_of_their_own():
    x = -IMAGE
    materialize(nn.Sequential(nn.ReLU(inplace=True), nn.LazyConv2d(4, 3)), x)
    assert torch.equal(x, -IMAGE)


def test_weights_made_in_inference_mode():
    with torch.inference_mode():
        net = Net(write)
    assert not dry_run(net, IMAGE).on_meta


class Order(ForwardObserver):
    def __init__(self, copy_model):
        super().__init__(copy_model)
        self.order = []

    def after_forward(self, module, inputs, result):
        self.order.append(self.names[module])


def test_a_passage_is_followed():
    assert dry_run(Net(lambda n, x: n.norm(n.conv(x))), IMAGE, observer=Order).observer.order == [
        "conv", "norm", "",
    ]  # fmt: skip


def test_an_exception_that_the_model_catches():
    def forward(net, x):
        with suppress(RuntimeError):
            net.conv(x[:, :1])
        return net.norm(net.conv(x))

    run = dry_run(Net(forward), IMAGE, observer=Order)
    assert run.observer.order == ["conv", "norm", ""]
    assert run.observer.stack == []


def test_evaluation_mode_for_as_long_as_it_lasts():
    model = nn.Sequential(nn.Dropout(), nn.Sequential(nn.BatchNorm2d(3).eval(), nn.ReLU()))
    before = [module.training for module in model.modules()]
    with suppress(KeyError), eval_mode(model):
        assert not any(module.training for module in model.modules())
        raise KeyError
    assert [module.training for module in model.modules()] == before
    assert before[0]


def test_no_global_hook_is_left(small_net, image):
    """Or whoever compiles a model later is warned of it."""
    dry_run(small_net, image)
    with pytest.raises(GhostifyError):
        dry_run(small_net, image[:, :2])
    assert not torch.nn.modules.module._has_any_global_hook()
    assert not torch.nn.modules.module._global_forward_hooks_with_kwargs
