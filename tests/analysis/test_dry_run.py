import random

import numpy as np
import pytest
import torch
from torch import nn

import ghostify
from ghostify import GhostifyError
from ghostify.analysis.dry_run import dry_run, materialize
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


def test_most_models_run_on_the_meta_device():
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
def test_models_that_need_values_run_for_real(forward):
    assert not dry_run(Net(forward), IMAGE).on_meta


@pytest.mark.parametrize("real", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_the_model_and_generators_do_not_change(real, training):
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


def test_errors_name_the_layer():
    with pytest.raises(GhostifyError, match=r"Net does not run on .* 1x5x8x8: at conv, Conv2d"):
        dry_run(Net(lambda net, x: net.conv(x)), torch.zeros(1, 5, 8, 8))


@pytest.mark.parametrize(("size", "training"), [(8, False), (3, True)])
def test_batch_norm_that_cannot_run(size, training):
    net = Net(lambda net, x: net.norm(net.conv(x)))
    if not training:
        net.norm = nn.BatchNorm2d(5)
    with pytest.raises(GhostifyError, match="at norm, BatchNorm2d"):
        dry_run(net, torch.zeros(1, 3, size, size), training=training)


def test_a_forward_that_yields_runs_to_its_end():
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
def test_writes_of_a_forward_stay_in_the_copy(run):
    net, x = Net(write), IMAGE.clone()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    run(net, x)
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert torch.equal(x, IMAGE)


def test_lazy_modules_whose_parameters_were_loaded_still_run():
    ready = materialize(lazy := nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d()), IMAGE)
    lazy.load_state_dict(ready.state_dict())
    again = materialize(lazy, IMAGE)
    assert isinstance(lazy[0], nn.LazyConv2d)
    assert [type(m) for m in again] == [nn.Conv2d, nn.BatchNorm2d]
    assert torch.equal(again[0].weight, ready[0].weight)


def test_lazy_modules_get_a_copy_of_the_example():
    x = -IMAGE
    materialize(nn.Sequential(nn.ReLU(inplace=True), nn.LazyConv2d(4, 3)), x)
    assert torch.equal(x, -IMAGE)


def test_weights_made_in_inference_mode():
    with torch.inference_mode():
        net = Net(write)
    assert not dry_run(net, IMAGE).on_meta
